// Threads that share the work of one call.
//
// A team lives as long as one projection, and borrows its threads (workers.h): no second thread runtime meets the one of
// a deep-learning library. Items are handed out by a counter.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <vector>

#include "workers.h"

namespace opalg {

// Thrown out of Team::run when the caller asked to stop.
struct Cancelled : std::exception {
    const char* what() const noexcept override { return "the projection was interrupted"; }
};

class Team {
public:
    // `interrupted`, if any, is asked by the calling thread about every 50 ms. During a Rehearsal no thread is started.
    Team(int threads, std::function<bool()> interrupted);
    ~Team();
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    int size() const { return rehearsed_ ? rehearsed_ : int(workers_.size()) + 1; }

    // body(item, thread) for every item in [0, count), in any order, thread in [0, size()). Returns when all are done;
    // throws what a body threw first, or Cancelled.
    void run(std::int64_t count, const std::function<void(std::int64_t, int)>& body);

    // To be asked within long items: leave early if true.
    bool stopped(int thread) {
        if (thread == 0) poll();
        return stop_.load(std::memory_order_relaxed);
    }

private:
    void work(int thread);
    void share(int thread);
    void poll();

    int rehearsed_ = 0;  // how many threads there would be
    std::function<bool()> interrupted_;
    std::chrono::steady_clock::time_point last_poll_ = std::chrono::steady_clock::now();
    std::atomic<bool> stop_{false};
    std::atomic<std::int64_t> next_{0};
    std::int64_t count_ = 0;
    const std::function<void(std::int64_t, int)>* body_ = nullptr;

    std::mutex mutex_;  // guards changes of what follows
    std::condition_variable started_, finished_;
    std::atomic<std::uint64_t> round_{0};
    std::atomic<int> busy_{0};  // workers that entered the round
    bool open_ = false;         // whether more may
    std::atomic<bool> closing_{false};
    bool cancelled_ = false;
    std::exception_ptr error_;
    std::vector<BorrowedWorker> workers_;
};

template <class T> void fill_with_zeros(T* target, std::int64_t count, Team& team) {
    constexpr std::int64_t piece = 1 << 18;
    team.run((count + piece - 1) / piece, [&](std::int64_t item, int) {
        std::fill(target + item * piece, target + std::min(count, (item + 1) * piece), T(0));
    });
}

}  // namespace opalg
