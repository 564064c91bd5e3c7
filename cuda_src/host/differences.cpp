// Schedule of finite differences: a thread takes blocks of rows, small enough that neighbouring rows are in its cache
// when they are needed again, and walks along the first axis.
#include "differences.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "buffer.h"
#include "packing.h"

namespace opalg {

namespace {

constexpr std::int64_t kBlockBytes = 256 << 10;    // rows of a block and their neighbours, of all fields
constexpr std::int64_t kRun = 1 << 13;             // samples of a row that are done at once
constexpr double kStreamBytes = double(32 << 20);  // results beyond the size of caches are written past them

const std::vector<Pair>* outer_pairs(const AxisRule& rule, std::int64_t i) {
    if (i >= rule.first && i < rule.last) return nullptr;
    return &rule.outer[std::size_t(i < rule.first ? i : rule.first + i - rule.last)];
}

// Calls body(plus, minus) with the samples of row i.
template <class Body> void for_pairs(const AxisRule& rule, std::int64_t i, const Body& body) {
    if (const std::vector<Pair>* pairs = outer_pairs(rule, i)) {
        for (const Pair& pair : *pairs) body(pair.plus, pair.minus);
    } else {
        for (const Pair& pair : rule.inner) body(i + pair.plus, i + pair.minus);
    }
}

// Columns [first, last) follow one rule along the last axis; each other one is done alone.
struct Columns {
    std::int64_t first = 0, last;

    Columns(const std::vector<DifferenceTerm>& terms, int target, std::int64_t count) : last(count) {
        for (const DifferenceTerm& term : terms) {
            if (term.axis != 2 || (target >= 0 && term.target != target)) continue;
            first = std::max(first, term.rule.first);
            last = std::min(last, term.rule.last);
        }
        last = std::max(first, last);
    }

    // body(column, count) for the runs that make up [begin, end).
    template <class Body> void split(std::int64_t begin, std::int64_t end, const Body& body) const {
        for (; begin < std::min(first, end); ++begin) body(begin, std::int64_t(1));
        if (begin < std::min(last, end)) body(begin, std::min(last, end) - begin);
        for (begin = std::max(begin, last); begin < end; ++begin) body(begin, std::int64_t(1));
    }
};

// Positions of the rows of one field, and zeros that stand for a row outside.
template <class T> struct Rows {
    const FieldShape& shape;
    Buffer<T> zeros;

    explicit Rows(const FieldShape& s) : shape(s), zeros(std::size_t(std::min(kRun, s.shape[2]) * s.unit)) {
        std::fill(zeros.data(), zeros.data() + std::min(kRun, s.shape[2]) * s.unit, T(0));
    }

    std::int64_t stride(int axis) const {
        return shape.unit * (axis == 2 ? 1 : shape.shape[2] * (axis == 1 ? 1 : shape.shape[1]));
    }
    std::int64_t offset(std::int64_t image, std::int64_t i, std::int64_t j) const {
        return image * shape.size() + i * stride(0) + j * stride(1);
    }
};

// Where the row [image, i, j] is, which of its columns are to be done, and how many rows up to the end of the block.
struct Place {
    std::int64_t image, index[2];
    std::int64_t row, begin, end, lines;
};

// Calls body(place) for the runs of rows of a block in which the terms of a target (of all, if it is -1) take the same pairs.
template <class T, class Body>
void for_runs(const Rows<T>& rows, const std::vector<DifferenceTerm>& terms, int target, Place place, const Body& body) {
    std::int64_t first = 0, last = rows.shape.shape[1];  // rows of the plane that follow the inner rules
    for (const DifferenceTerm& term : terms) {
        if (term.axis != 1 || (target >= 0 && term.target != target)) continue;
        first = std::max(first, term.rule.first);
        last = std::min(last, term.rule.last);
    }
    for (std::int64_t left = place.lines; left > 0; left -= place.lines) {
        const std::int64_t j = place.index[1];
        place.lines = j >= first && j < last ? std::min(left, last - j) : 1;
        body(place);
        place.index[1] += place.lines;
        place.row += place.lines * rows.stride(1);
    }
}

// A sample, and how far it is to that of the next row.
template <class T> struct Sample {
    const T* first;
    std::ptrdiff_t stride;
};

// Calls body(plus, minus) with the samples that a term takes from `column` on.
template <class T, class Body>
void for_samples(const Rows<T>& rows, const DifferenceTerm& term, const T* source, const Place& place, std::int64_t column,
                 const Body& body) {
    const std::int64_t unit = rows.shape.unit, here = place.row + column * unit;
    const std::ptrdiff_t next = std::ptrdiff_t(rows.stride(1));
    if (term.axis == 2) {
        const auto at = [&](std::int64_t k) {
            return k < 0 ? Sample<T>{rows.zeros.data(), 0} : Sample<T>{source + place.row + k * unit, next};
        };
        for_pairs(term.rule, column, [&](std::int64_t plus, std::int64_t minus) { body(at(plus), at(minus)); });
    } else {
        const std::int64_t i = place.index[term.axis], stride = rows.stride(term.axis);
        const auto at = [&](std::int64_t k) {
            return k < 0 ? Sample<T>{rows.zeros.data(), 0} : Sample<T>{source + here + (k - i) * stride, next};
        };
        for_pairs(term.rule, i, [&](std::int64_t plus, std::int64_t minus) { body(at(plus), at(minus)); });
    }
}

// Items [first, last) that are left of a share, in one word: its owner takes them from the front, others from the back.
class Share {
public:
    void set(std::int64_t first, std::int64_t last) { left_ = std::uint64_t(first) << 32 | std::uint64_t(last); }

    // The item taken; -1 if none is left.
    std::int64_t take(bool front) {
        std::uint64_t left = left_.load(std::memory_order_relaxed);
        while (true) {
            const std::uint64_t first = left >> 32, last = left & 0xffffffff;
            if (first >= last) return -1;
            const std::uint64_t rest = front ? left + (std::uint64_t(1) << 32) : left - 1;
            if (left_.compare_exchange_weak(left, rest, std::memory_order_relaxed))
                return std::int64_t(front ? first : last - 1);
        }
    }

private:
    std::atomic<std::uint64_t> left_{0};
};

// body(item, thread) for every item as Team::run, but every thread begins with a share of its own: when fields that fit
// the caches of the processors are worked on again and again, it finds its part where it left it. Who has done his share
// helps from the far end of another, which is then the same few items again and again.
template <class Body> void run_in_shares(Team& team, std::int64_t count, const Body& body) {
    const std::int64_t shares = std::min<std::int64_t>(team.size(), count);
    std::vector<Share> left(std::size_t(std::max<std::int64_t>(shares, 0)));
    for (std::int64_t s = 0; s < shares; ++s) left[std::size_t(s)].set(s * count / shares, (s + 1) * count / shares);
    team.run(shares, [&](std::int64_t own, int thread) {
        for (std::int64_t k = 0; k < shares; ++k) {
            for (std::int64_t item; (item = left[std::size_t((own + k) % shares)].take(k == 0)) >= 0;) {
                if (team.stopped(thread)) return;
                body(item, thread);
            }
        }
    });
}

// Calls body(place) for blocks of rows that follow each other in memory; long rows in pieces.
template <class T, class Body> void for_blocks(const Rows<T>& rows, std::int64_t fields, Team& team, const Body& body) {
    const FieldShape& shape = rows.shape;
    const std::int64_t outer = shape.batch * shape.shape[0], lines = shape.shape[1], width = shape.shape[2];
    if (outer * lines * width == 0) return;
    const std::int64_t pieces = divide_up(width, kRun), piece_width = divide_up(width, pieces);
    const std::int64_t row_bytes = piece_width * shape.unit * std::int64_t(sizeof(T)) * fields;
    // Three planes of a block are in use at a time. Several blocks for every thread, as they do not take equally long.
    const std::int64_t fit = std::max<std::int64_t>(1, kBlockBytes / row_bytes);
    const std::int64_t high = std::min(lines, std::max<std::int64_t>(1, shape.shape[0] > 1 ? fit / 3 : fit));
    const std::int64_t bands = divide_up(lines, high);
    std::int64_t deep = std::min(outer, std::max<std::int64_t>(1, 8 * fit / high));
    if (team.size() > 1) deep = std::min(deep, std::max<std::int64_t>(1, outer * bands * pieces / (4 * team.size())));
    const std::int64_t slabs = divide_up(outer, deep);
    run_in_shares(team, slabs * bands * pieces, [&](std::int64_t item, int thread) {
        const std::int64_t piece = item % pieces, band = item / pieces % bands, slab = item / pieces / bands;
        Place place;
        place.begin = piece * piece_width;
        place.end = std::min(width, place.begin + piece_width);
        for (std::int64_t o = slab * deep; o < std::min(outer, (slab + 1) * deep); ++o) {
            if (team.stopped(thread)) return;
            place.image = o / shape.shape[0];
            place.index[0] = o % shape.shape[0];
            place.index[1] = band * high;
            place.row = rows.offset(place.image, place.index[0], place.index[1]);
            place.lines = std::min(lines, (band + 1) * high) - place.index[1];
            body(place);
        }
    });
}

}  // namespace

void check_terms(const std::vector<DifferenceTerm>& terms, const FieldShape& shape, int sources, int targets) {
    const auto refuse = [](bool wrong, const char* what) {
        if (wrong) throw std::invalid_argument(what);
    };
    refuse(shape.batch < 0 || shape.unit < 1, "the shape of a field is negative");
    for (const std::int64_t n : shape.shape) refuse(n < 0, "the shape of a field is negative");
    std::vector<std::size_t> most(std::size_t(targets), 0);
    for (const DifferenceTerm& term : terms) {
        const AxisRule& rule = term.rule;
        refuse(term.axis < 0 || term.axis > 2 || term.source < 0 || term.source >= sources || term.target < 0 ||
                   term.target >= targets || rule.n != shape.shape[term.axis],
               "a difference does not fit the fields");
        refuse(rule.first < 0 || rule.first > rule.last || rule.last > rule.n ||
                   std::int64_t(rule.outer.size()) != rule.n - (rule.last - rule.first),
               "the rows of a difference do not fill the axis");
        std::size_t pairs = 0;
        const auto inspect = [&](const std::vector<Pair>& list, std::int64_t low, std::int64_t high) {
            pairs = std::max(pairs, list.size());
            for (const Pair& pair : list)
                for (const std::int64_t k : {pair.plus, pair.minus})
                    refuse(k < low || k >= high, "a difference reaches out of its axis");
        };
        if (rule.first < rule.last) inspect(rule.inner, -rule.first, rule.n - rule.last + 1);
        for (const auto& list : rule.outer) inspect(list, -1, rule.n);
        most[std::size_t(term.target)] += pairs;
    }
    for (const std::size_t count : most) refuse(count > kPairs, "a difference has too many samples");
}

int threads_for_bytes(double bytes, int requested) {
    constexpr double worth_a_thread = 1e6;  // some 100 microseconds, about what starting a thread costs
    return int(std::max(1.0, std::min(double(requested), bytes / worth_a_thread)));
}

template <class T>
void sum_differences(const FieldShape& shape, const std::vector<DifferenceTerm>& terms, const Kernels<T>& kernels,
                     const std::vector<const T*>& sources, const std::vector<const T*>& bases, double factor,
                     double scale, const std::vector<T*>& targets, Team& team) {
    const Rows<T> rows(shape);
    std::vector<Columns> columns;
    for (std::size_t t = 0; t < targets.size(); ++t) columns.emplace_back(terms, int(t), shape.shape[2]);
    const double written = double(targets.size()) * double(shape.batch) * double(shape.size()) * sizeof(T);
    const bool stream = bases.empty() && written > kStreamBytes;
    for_blocks(rows, std::int64_t(sources.size() + targets.size()), team, [&](const Place& block) {
        for (int t = 0; t < int(targets.size()); ++t) {
            for_runs(rows, terms, t, block, [&](const Place& place) {
                columns[std::size_t(t)].split(place.begin, place.end, [&](std::int64_t column, std::int64_t count) {
                    const std::int64_t here = place.row + column * shape.unit;
                    SumDifferences<T> job;
                    job.target = targets[std::size_t(t)] + here;
                    job.base = bases.empty() ? nullptr : bases[std::size_t(t)] + here;
                    job.factor = T(factor);
                    job.pairs = 0;
                    job.length = count * shape.unit;
                    job.lines = place.lines;
                    job.stride = std::ptrdiff_t(rows.stride(1));
                    job.stream = stream;
                    for (const DifferenceTerm& term : terms) {
                        if (term.target != t) continue;
                        const T* source = sources[std::size_t(term.source)];
                        const T weight = T(term.rule.weight * scale);
                        for_samples(rows, term, source, place, column, [&](Sample<T> plus, Sample<T> minus) {
                            job.plus[job.pairs] = plus.first;
                            job.minus[job.pairs] = minus.first;
                            job.plus_stride[job.pairs] = plus.stride;
                            job.minus_stride[job.pairs] = minus.stride;
                            job.weight[job.pairs++] = weight;
                        });
                    }
                    kernels.sum_differences(job);
                });
            });
        }
    });
}

template <class T>
void shrink_fields(const FieldShape& shape, const std::vector<DifferenceTerm>& terms, const Kernels<T>& kernels,
                   const T* source, const std::vector<const T*>& fields, const std::vector<double>& scales,
                   const std::vector<double>& radii, Shrink how, const std::vector<T*>& targets, Team& team) {
    const Rows<T> rows(shape);
    const Columns columns(terms, -1, shape.shape[2]);
    for_blocks(rows, std::int64_t(targets.size() + 1), team, [&](const Place& block) {
        for_runs(rows, terms, -1, block, [&](const Place& place) {
            columns.split(place.begin, place.end, [&](std::int64_t column, std::int64_t count) {
                const std::int64_t here = place.row + column * shape.unit;
                ShrinkField<T> job;
                job.parts = int(targets.size());
                job.scale = T(scales[std::size_t(place.image)]);
                job.radius = T(radii[std::size_t(place.image)]);
                job.how = how;
                job.length = count * shape.unit;
                job.lines = place.lines;
                job.stride = std::ptrdiff_t(rows.stride(1));
                for (std::size_t k = 0; k < targets.size(); ++k) {
                    job.target[k] = targets[k] + here;
                    job.source[k] = fields[k] + here;
                    job.plus[k] = job.minus[k] = nullptr;
                }
                for (const DifferenceTerm& term : terms) {
                    const std::size_t k = std::size_t(term.target);
                    for_samples(rows, term, source, place, column, [&](Sample<T> plus, Sample<T> minus) {
                        job.plus[k] = plus.first;
                        job.minus[k] = minus.first;
                        job.plus_stride[k] = plus.stride;
                        job.minus_stride[k] = minus.stride;
                        job.weight[k] = T(term.rule.weight);
                    });
                }
                kernels.shrink_field(job);
            });
        });
    });
}

#define OPALG_INSTANTIATE(T)                                                                                            \
    template void sum_differences<T>(const FieldShape&, const std::vector<DifferenceTerm>&, const Kernels<T>&,          \
                                     const std::vector<const T*>&, const std::vector<const T*>&, double, double,        \
                                     const std::vector<T*>&, Team&);                                                    \
    template void shrink_fields<T>(const FieldShape&, const std::vector<DifferenceTerm>&, const Kernels<T>&, const T*,  \
                                   const std::vector<const T*>&, const std::vector<double>&,                            \
                                   const std::vector<double>&, Shrink, const std::vector<T*>&, Team&);
OPALG_INSTANTIATE(float)
OPALG_INSTANTIATE(double)

}  // namespace opalg
