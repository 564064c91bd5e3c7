// Counts the scratch memory of the engine: told before a call, by a rehearsal, and looked up after it.
#pragma once

#include <atomic>
#include <cstdint>

namespace opalg {

class Ledger {
public:
    void add(std::int64_t bytes) {
        const std::int64_t now = live_.fetch_add(bytes) + bytes;
        std::int64_t before = peak_.load();
        while (before < now && !peak_.compare_exchange_weak(before, now)) {
        }
    }
    void remove(std::int64_t bytes) { live_.fetch_sub(bytes); }
    std::int64_t peak() const { return peak_.load(); }
    // The peak since the last time this was asked.
    std::int64_t take_peak() { return peak_.exchange(live_.load()); }

    // Of all calls of the process.
    static Ledger& of_process() {
        static Ledger ledger;
        return ledger;
    }

private:
    std::atomic<std::int64_t> live_{0}, peak_{0};
};

// While one exists, this thread's buffers are counted and not made, and its teams do no work: a schedule that is run then
// tells what memory it takes. So schedules reserve memory and touch data in these places only: buffers are made by the
// calling thread, data are read and written within Team::run.
class Rehearsal {
public:
    Rehearsal() : before_(current_) { current_ = this; }
    ~Rehearsal() { current_ = before_; }
    Rehearsal(const Rehearsal&) = delete;
    Rehearsal& operator=(const Rehearsal&) = delete;

    static Rehearsal* current() { return current_; }
    Ledger& ledger() { return ledger_; }

private:
    static inline thread_local Rehearsal* current_ = nullptr;
    Rehearsal* before_;
    Ledger ledger_;
};

}  // namespace opalg
