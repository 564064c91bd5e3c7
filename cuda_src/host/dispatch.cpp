#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>

namespace opalg {

#define OPALG_DECLARE(isa)                  \
    namespace isa {                         \
    extern const Kernels<float> float32;    \
    extern const Kernels<double> float64;   \
    }

#if defined(OPALG_X86_64)
OPALG_DECLARE(x86_64_v4)
OPALG_DECLARE(x86_64_v3)
OPALG_DECLARE(x86_64_v2)

// The features behind each level that the kernels can meet; GCC and Clang know these names, not all know the levels.
static bool has_v2() { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"); }
static bool has_v3() {
    return has_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}
static bool has_v4() {
    return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
}
#else
OPALG_DECLARE(plain)
static bool always() { return true; }
#endif

// Best first.
static const InstructionSet kCompiled[] = {
#if defined(OPALG_X86_64)
    {"x86-64-v4", "AVX-512, 16 float lanes", has_v4, &x86_64_v4::float32, &x86_64_v4::float64},
    {"x86-64-v3", "AVX2 and FMA, 8 float lanes", has_v3, &x86_64_v3::float32, &x86_64_v3::float64},
    {"x86-64-v2", "SSE4.2, 4 float lanes", has_v2, &x86_64_v2::float32, &x86_64_v2::float64},
#else
    {"plain", "what every processor of this kind has, 4 float lanes", always, &plain::float32, &plain::float64},
#endif
};

const std::vector<InstructionSet>& available_instruction_sets() {
    static const std::vector<InstructionSet> sets = [] {
        std::vector<InstructionSet> found;
        for (const InstructionSet& set : kCompiled)
            if (set.available()) found.push_back(set);
        return found;
    }();
    return sets;
}

static std::string names(const std::vector<InstructionSet>& sets) {
    std::string text;
    for (const InstructionSet& set : sets) text += (text.empty() ? "" : ", ") + std::string(set.name);
    return text;
}

const InstructionSet& active_instruction_set() {
    static const InstructionSet& active = []() -> const InstructionSet& {
        const std::vector<InstructionSet>& sets = available_instruction_sets();
        if (sets.empty()) throw std::invalid_argument("this processor is older than x86-64-v2, opalg's oldest");
        const char* setting = std::getenv("OPALG_ISA");
        const std::string wanted = setting ? setting : "";
        if (wanted.empty()) return sets.front();
        for (const InstructionSet& set : sets)
            if (wanted == set.name) return set;
        for (const InstructionSet& set : kCompiled)
            if (wanted == set.name)
                throw std::invalid_argument("OPALG_ISA=" + wanted + ": this processor only runs " + names(sets));
        throw std::invalid_argument("OPALG_ISA=" + wanted + " is unknown here; choose one of " + names(sets));
    }();
    return active;
}

template <> const Kernels<float>& active_kernels() { return *active_instruction_set().float32; }
template <> const Kernels<double>& active_kernels() { return *active_instruction_set().float64; }

}  // namespace opalg
