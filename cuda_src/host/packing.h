// The engine's own copies of images and sinograms: zero margins in place of bounds tests, rows of the dominant axis
// contiguous, and many images interleaved.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "buffer.h"
#include "problem.h"

namespace opalg {

inline std::int64_t divide_up(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }
inline std::int64_t round_up(std::int64_t n, std::int64_t multiple) { return divide_up(n, multiple) * multiple; }

// A group of lanes handled together: a stack of `lanes` images (the last ones perhaps unused), or a single image.
template <class T> struct Group {
    bool stack;
    int width;                             // elements per pixel
    std::vector<std::int32_t> begin;       // [width + 1]
    std::vector<const T*> source;
    std::vector<T> weight;
    std::vector<T*> target;                // [width], null if unused
    int margin() const { return stack ? kStackMargin : kMargin; }
};

// Rows of `count` pixels with margins, in memory of a buffer; pixel 0 of row r is at row(r).
template <class T> class PaddedRows {
public:
    PaddedRows(std::int64_t rows, std::int64_t count, const Group<T>& group, Buffer<T>& buffer)
        : count_(count), width_(group.width), margin_(group.margin()), stride_(stride_for(count, group)) {
        buffer.reserve(std::size_t(rows * stride_));
        data_ = buffer.data();
    }

    T* row(std::int64_t r) const { return data_ + r * stride_ + margin_ * width_; }
    std::int64_t stride() const { return stride_; }
    void clear_margins(std::int64_t r) const {
        T* first = data_ + r * stride_;
        std::fill(first, row(r), T(0));
        std::fill(row(r) + count_ * width_, first + stride_, T(0));
    }

private:
    static std::int64_t stride_for(std::int64_t count, const Group<T>& group) {
        const std::int64_t line = 64 / std::int64_t(sizeof(T));
        const std::int64_t stride = round_up((count + 2 * group.margin()) * group.width, line);
        // A power of two would send the same pixel of all rows to the same few cache sets.
        return stride * std::int64_t(sizeof(T)) % 2048 == 0 ? stride + line : stride;
    }

    std::int64_t count_, width_, margin_, stride_;
    T* data_;
};

// Splits the lanes of a mix into stacks, and single images where a stack would be mostly empty.
template <class T>
std::vector<Group<T>> groups(const LaneMix<T>& mix, const Kernels<T>& kernels, const T* source, T* target);

// rows[y] = image row y, or with `transposed` rows[x] = image column x. Work for the team.
template <class T>
void pack_image(const Group<T>&, const Kernels<T>&, std::int64_t ny, std::int64_t nx, bool transposed,
                const PaddedRows<T>&, Team&);

// rows[k] = sinogram row of views[k], times its length, in the order of the view's own rays.
template <class T>
void pack_sinogram(const Group<T>&, const Kernels<T>&, const Problem&, const std::vector<View>&,
                   const PaddedRows<T>&, Team&);

// Writes the sums of one view, times its length, to the sinogram.
template <class T>
void unpack_view(const Group<T>&, const Kernels<T>&, const Problem&, const View&, const T* sums);

// Writes planes [first, first + count) of an image: rows, overwritten, or with `transposed` columns, added to.
template <class T>
void unpack_planes(const Group<T>&, const Kernels<T>&, std::int64_t ny, std::int64_t nx, bool transposed,
                   std::int64_t first, std::int64_t count, const T* planes, std::int64_t stride);

}  // namespace opalg
