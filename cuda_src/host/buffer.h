// Aligned scratch memory, not initialised.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace opalg {

template <class T> class Buffer {
public:
    explicit Buffer(std::size_t count) {
        // Large pages: a stack of images is read along strides of many small ones.
        const std::size_t bytes = count * sizeof(T), alignment = bytes >= kLargePage ? kLargePage : 64;
        data_ = static_cast<T*>(std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment));
        if (!data_) throw std::bad_alloc();
#if defined(__linux__)
        if (alignment == kLargePage) madvise(data_, bytes, MADV_HUGEPAGE);  // a wish: failing costs speed only
#endif
    }
    Buffer(Buffer&& other) noexcept : data_(other.data_) { other.data_ = nullptr; }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(data_); }

    T* data() const { return data_; }

private:
    static constexpr std::size_t kLargePage = std::size_t(2) << 20;
    T* data_;
};

}  // namespace opalg
