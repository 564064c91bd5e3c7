// Finite differences of fields: sparse matrices along axes, whose rows are sums of differences of two samples.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"
#include "team.h"

namespace opalg {

// Two samples along an axis; -1 stands for a zero outside of it.
struct Pair {
    std::int64_t plus, minus;
};

// The matrix along one axis of n samples: row i is weight * sum of (x[plus] - x[minus]). Rows in [first, last) have the
// pairs of `inner`, counted from i; the rows outside have lists of their own.
struct AxisRule {
    std::int64_t n, first, last;
    double weight;
    std::vector<Pair> inner;
    std::vector<std::vector<Pair>> outer;  // rows 0 ... first - 1, then last ... n - 1
};

// target[...] gets the sum of `rule` along `axis` of source[...].
struct DifferenceTerm {
    AxisRule rule;
    int axis;  // 0, 1, 2
    int source, target;
};

// Fields [batch, shape[0], shape[1], shape[2]] of samples that consist of `unit` numbers each (two if complex).
struct FieldShape {
    std::int64_t batch, shape[3], unit;

    std::int64_t size() const { return shape[0] * shape[1] * shape[2] * unit; }
};

// Throws std::invalid_argument if a rule does not fit the shape, names a sample that is not there, or if a row has more
// pairs than kernels take.
void check_terms(const std::vector<DifferenceTerm>& terms, const FieldShape& shape, int sources, int targets);

// The largest number of threads worth starting for so many bytes read and written.
int threads_for_bytes(double bytes, int requested);

// targets[t] = factor * bases[t] + scale * the terms of target t. bases is empty, or one per target, which may be it.
template <class T>
void sum_differences(const FieldShape&, const std::vector<DifferenceTerm>&, const Kernels<T>&,
                     const std::vector<const T*>& sources, const std::vector<const T*>& bases, double factor,
                     double scale, const std::vector<T*>& targets, Team&);

// targets = shrunk vectors of fields + scales[b] * the terms, for every entry b of the batch with its own radius. There
// is at most one pair per target and row; without terms nothing is added and `source` is not read.
template <class T>
void shrink_fields(const FieldShape&, const std::vector<DifferenceTerm>&, const Kernels<T>&, const T* source,
                   const std::vector<const T*>& fields, const std::vector<double>& scales,
                   const std::vector<double>& radii, Shrink how, const std::vector<T*>& targets, Team&);

}  // namespace opalg
