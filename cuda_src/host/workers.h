// Threads that wait for work. They outlive the calls that use them, as starting one takes longer than many a call.
//
// Nobody owns them for good: a call borrows what it needs and gives it back, calls from several threads borrow different
// ones, and idle ones end with the process. A forked child has none of its parent's and starts its own.
#pragma once

#include <functional>
#include <memory>

namespace opalg {

class Worker;

class BorrowedWorker {
public:
    // Runs `work` on a thread of its own; throws std::system_error if the system gives none. `work` must not throw.
    explicit BorrowedWorker(std::function<void()> work);
    // Waits for the end of the work.
    ~BorrowedWorker();
    BorrowedWorker(BorrowedWorker&& other) noexcept = default;

private:
    std::shared_ptr<Worker> worker_;
};

}  // namespace opalg
