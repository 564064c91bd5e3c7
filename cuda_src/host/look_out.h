// Waiting without sleep, for what comes in a moment.
#pragma once

#include <chrono>
#include <thread>

namespace opalg {

// Whether the condition came true in a moment. Calls and their rounds follow each other closely, and waking a thread takes
// longer than many of them.
template <class Condition> bool look_out_for(const Condition& condition) {
    constexpr std::chrono::microseconds moment(30);
    const auto end = std::chrono::steady_clock::now() + moment;
    do {
        if (condition()) return true;
        std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < end);
    return condition();
}

}  // namespace opalg
