#include "workers.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "look_out.h"

namespace opalg {

class Worker {
public:
    void begin(std::function<void()> work) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            work_ = std::move(work);
            busy_ = true;
        }
        changed_.notify_one();
    }

    void wait() {
        if (look_out_for([this] { return !busy_; })) return;
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return !busy_; });
    }

    void serve() {
        while (true) {
            look_out_for([this] { return bool(busy_); });
            std::unique_lock<std::mutex> lock(mutex_);
            changed_.wait(lock, [this] { return bool(busy_); });
            lock.unlock();
            work_();
            lock.lock();
            work_ = nullptr;
            busy_ = false;
            changed_.notify_one();
        }
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::function<void()> work_;
    std::atomic<bool> busy_{false};
};

namespace {

struct Idle {
    std::mutex mutex;
    std::vector<std::shared_ptr<Worker>> workers;
};

// Never destroyed: a worker may still be waiting when the process ends.
Idle* idle = new Idle;

// The locks of the parent may be held by threads that a child does not have.
void forget_parent() { idle = new Idle; }

std::shared_ptr<Worker> take() {
#if !defined(_WIN32)
    static const int registered = pthread_atfork(nullptr, nullptr, forget_parent);
    (void)registered;
#endif
    {
        std::lock_guard<std::mutex> lock(idle->mutex);
        if (!idle->workers.empty()) {
            std::shared_ptr<Worker> worker = std::move(idle->workers.back());
            idle->workers.pop_back();
            return worker;
        }
    }
    auto worker = std::make_shared<Worker>();
    std::thread([worker] { worker->serve(); }).detach();
    return worker;
}

}  // namespace

BorrowedWorker::BorrowedWorker(std::function<void()> work) : worker_(take()) { worker_->begin(std::move(work)); }

BorrowedWorker::~BorrowedWorker() {
    if (!worker_) return;
    worker_->wait();
    std::lock_guard<std::mutex> lock(idle->mutex);
    idle->workers.push_back(std::move(worker_));
}

}  // namespace opalg
