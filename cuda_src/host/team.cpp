#include "team.h"

#include <system_error>

#include "ledger.h"
#include "look_out.h"

namespace opalg {

constexpr std::chrono::milliseconds kPollInterval(50);

Team::Team(int threads, std::function<bool()> interrupted) : interrupted_(std::move(interrupted)) {
    if (Rehearsal::current()) {
        rehearsed_ = threads > 1 ? threads : 1;
        return;
    }
    try {
        for (int thread = 1; thread < threads; ++thread) workers_.emplace_back([this, thread] { work(thread); });
    } catch (const std::system_error&) {
        // The system gives no more threads: those we have, and the caller, do the work.
    }
}

Team::~Team() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        closing_ = true;
    }
    started_.notify_all();
    workers_.clear();
}

void Team::run(std::int64_t count, const std::function<void(std::int64_t, int)>& body) {
    if (count <= 0 || rehearsed_) return;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        body_ = &body;
        count_ = count;
        next_ = 0;
        open_ = true;
        ++round_;
    }
    started_.notify_all();
    share(0);
    {
        // All items are handed out. A worker that other programs kept from the processors until now is not waited for.
        std::lock_guard<std::mutex> lock(mutex_);
        open_ = false;
    }
    look_out_for([this] { return busy_ == 0; });
    std::unique_lock<std::mutex> lock(mutex_);
    while (!finished_.wait_for(lock, kPollInterval, [this] { return busy_ == 0; })) {
        lock.unlock();
        poll();
        lock.lock();
    }
    body_ = nullptr;
    if (error_) std::rethrow_exception(error_);
    if (cancelled_) throw Cancelled();
}

void Team::work(int thread) {
    std::uint64_t seen = 0;
    const auto called = [&] { return closing_ || round_ != seen; };
    while (true) {
        look_out_for(called);
        std::unique_lock<std::mutex> lock(mutex_);
        started_.wait(lock, called);
        if (closing_) return;
        seen = round_;
        if (!open_) continue;
        ++busy_;
        lock.unlock();
        share(thread);
        lock.lock();
        if (--busy_ == 0) finished_.notify_one();
    }
}

void Team::share(int thread) {
    try {
        while (!stopped(thread)) {
            const std::int64_t item = next_.fetch_add(1, std::memory_order_relaxed);
            if (item >= count_) return;
            (*body_)(item, thread);
        }
    } catch (...) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!error_) error_ = std::current_exception();
        stop_ = true;
    }
}

void Team::poll() {
    if (!interrupted_ || cancelled_) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_poll_ < kPollInterval) return;
    if (interrupted_()) {
        std::lock_guard<std::mutex> lock(mutex_);
        cancelled_ = true;
        stop_ = true;
    }
    last_poll_ = std::chrono::steady_clock::now();
}

}  // namespace opalg
