// Aligned scratch memory, not initialised.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

#include "ledger.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace opalg {

template <class T> class Buffer {
public:
    Buffer() = default;
    explicit Buffer(std::size_t count, bool real = !Rehearsal::current()) : count_(count) {
        // Large pages: a stack of images is read along strides of many small ones.
        const std::size_t bytes = count * sizeof(T), alignment = bytes >= kLargePage ? kLargePage : 64;
        bytes_ = (bytes + alignment) / alignment * alignment;
        if (real) {
            data_ = static_cast<T*>(std::aligned_alloc(alignment, bytes_));
            if (!data_) throw std::bad_alloc();
        }
        ledger_ = Rehearsal::current() ? &Rehearsal::current()->ledger() : &Ledger::of_process();
        ledger_->add(std::int64_t(bytes_));
#if defined(__linux__)
        if (data_ && alignment == kLargePage) madvise(data_, bytes, MADV_HUGEPAGE);  // a wish: failing costs speed only
#endif
    }
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        swap(other);
        return *this;
    }
    ~Buffer() {
        std::free(data_);
        if (ledger_) ledger_->remove(std::int64_t(bytes_));
    }

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
        std::swap(bytes_, other.bytes_);
        std::swap(ledger_, other.ledger_);
    }

    static constexpr std::size_t kLargePage = std::size_t(2) << 20;
    T* data_ = nullptr;
    std::size_t count_ = 0, bytes_ = 0;
    Ledger* ledger_ = nullptr;
};

// One buffer for every thread of a team.
template <class T> void reserve_each(std::vector<Buffer<T>>& buffers, std::size_t count) {
    for (Buffer<T>& buffer : buffers) buffer.reserve(count);
}

}  // namespace opalg
