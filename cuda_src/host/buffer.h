// Aligned scratch memory, not initialised.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace opalg {

template <class T> class Buffer {
public:
    Buffer() = default;
    explicit Buffer(std::size_t count) : count_(count) {
        // Large pages: a stack of images is read along strides of many small ones.
        const std::size_t bytes = count * sizeof(T), alignment = bytes >= kLargePage ? kLargePage : 64;
        data_ = static_cast<T*>(std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment));
        if (!data_) throw std::bad_alloc();
#if defined(__linux__)
        if (alignment == kLargePage) madvise(data_, bytes, MADV_HUGEPAGE);  // a wish: failing costs speed only
#endif
    }
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        swap(other);
        return *this;
    }
    ~Buffer() { std::free(data_); }

    T* data() const { return data_; }

    // Makes room for at least `count`; what was in it is lost. Memory that is used again costs no fresh pages.
    void reserve(std::size_t count) {
        if (count <= count_) return;
        *this = Buffer();
        *this = Buffer(count);
    }

private:
    void swap(Buffer& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(count_, other.count_);
    }

    static constexpr std::size_t kLargePage = std::size_t(2) << 20;
    T* data_ = nullptr;
    std::size_t count_ = 0;
};

}  // namespace opalg
