// Finite differences for Python. Only opalg/engines/differences.py calls them, and checks the arguments in words.
#include "differences_module.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <stdexcept>
#include <tuple>

#include "differences.h"
#include "dispatch.h"
#include "gil.h"

namespace nb = nanobind;

namespace opalg {

namespace {

using Input = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using Output = nb::ndarray<nb::c_contig, nb::device::cpu>;
using Shape = std::tuple<std::int64_t, std::int64_t, std::int64_t>;
using PairList = std::vector<std::tuple<std::int64_t, std::int64_t>>;

std::vector<Pair> pairs(const PairList& list) {
    std::vector<Pair> found;
    for (const auto& [plus, minus] : list) found.push_back({plus, minus});
    return found;
}

// Terms to be applied to fields of any size along axes without one.
struct Differences {
    std::vector<DifferenceTerm> terms;
    int sources = 1, targets = 0;

    void add(std::int64_t n, std::int64_t first, double weight, const PairList& inner, const std::vector<PairList>& outer,
             int axis, int source, int target) {
        AxisRule rule{n, first, first + n - std::int64_t(outer.size()), weight, pairs(inner), {}};
        for (const PairList& list : outer) rule.outer.push_back(pairs(list));
        terms.push_back({rule, axis, source, target});
        sources = std::max(sources, source + 1);
        targets = std::max(targets, target + 1);
    }
};

FieldShape field_shape(std::int64_t batch, Shape shape, std::int64_t unit) {
    return {batch, {std::get<0>(shape), std::get<1>(shape), std::get<2>(shape)}, unit};
}

std::size_t most_pairs(const AxisRule& rule) {
    std::size_t most = rule.inner.size();
    for (const auto& list : rule.outer) most = std::max(most, list.size());
    return most;
}

template <class Pointer, class A> std::vector<Pointer> pointers(const std::vector<A>& arrays, const FieldShape& shape) {
    std::vector<Pointer> found;
    for (const A& array : arrays) {
        if (std::int64_t(array.size()) != shape.batch * shape.size())
            throw std::invalid_argument("the sizes of the fields do not agree");
        found.push_back(static_cast<Pointer>(array.data()));
    }
    return found;
}

// body(T()) for the one dtype that all arrays have.
template <class Body>
void with_dtype(const std::vector<Output>& targets, const std::vector<const std::vector<Input>*>& inputs,
                const Body& body) {
    if (targets.empty() || targets.size() > std::size_t(kParts)) throw std::invalid_argument("a field has 1 to 8 parts");
    const nb::dlpack::dtype dtype = targets[0].dtype();
    for (const Output& array : targets)
        if (array.dtype() != dtype) throw std::invalid_argument("the dtypes of the fields do not agree");
    for (const auto* list : inputs)
        for (const Input& array : *list)
            if (array.dtype() != dtype) throw std::invalid_argument("the dtypes of the fields do not agree");
    if (dtype == nb::dtype<float>()) body(float());
    else if (dtype == nb::dtype<double>()) body(double());
    else throw std::invalid_argument("fields are float32 or float64");
}

void run_sum(const Differences& self, std::int64_t batch, Shape sizes, std::int64_t unit, const std::vector<Input>& sources,
         const std::vector<Input>& bases, double factor, double scale, const std::vector<Output>& targets, int threads,
         bool interruptible) {
    const FieldShape shape = field_shape(batch, sizes, unit);
    check_terms(self.terms, shape, int(sources.size()), int(targets.size()));
    if (!bases.empty() && bases.size() != targets.size()) throw std::invalid_argument("there is one base per result");
    with_dtype(targets, {&sources, &bases}, [&](auto type) {
        using T = decltype(type);
        const auto from = pointers<const T*>(sources, shape), under = pointers<const T*>(bases, shape);
        const auto to = pointers<T*>(targets, shape);
        const Kernels<T>& kernels = active_kernels<T>();
        const double bytes = double(from.size() + under.size() + to.size()) * double(batch * shape.size()) * sizeof(T);
        run_without_gil(threads_for_bytes(bytes, threads), interruptible, [&](Team& team) {
            sum_differences<T>(shape, self.terms, kernels, from, under, factor, scale, to, team);
        });
    });
}

void run_shrink(const Differences& self, std::int64_t batch, Shape sizes, std::int64_t unit, const std::vector<Input>& source,
            const std::vector<Input>& fields, const std::vector<double>& scales, const std::vector<double>& radii, int how,
            const std::vector<Output>& targets, int threads, bool interruptible) {
    const FieldShape shape = field_shape(batch, sizes, unit);
    check_terms(self.terms, shape, int(source.size()), int(targets.size()));
    for (std::size_t k = 0; k < self.terms.size(); ++k)
        if (self.terms[k].target != int(k) || most_pairs(self.terms[k].rule) > 1)
            throw std::invalid_argument("a vector takes one first difference per entry");
    if (fields.size() != targets.size() || std::int64_t(scales.size()) != batch || std::int64_t(radii.size()) != batch ||
        how < int(Shrink::into_ball) || how > int(Shrink::by_entry))
        throw std::invalid_argument("the arguments of a shrinkage do not agree");
    with_dtype(targets, {&source, &fields}, [&](auto type) {
        using T = decltype(type);
        const auto from = pointers<const T*>(source, shape), old = pointers<const T*>(fields, shape);
        const auto to = pointers<T*>(targets, shape);
        const Kernels<T>& kernels = active_kernels<T>();
        const double bytes = double(from.size() + 2 * to.size()) * double(batch * shape.size()) * sizeof(T);
        run_without_gil(threads_for_bytes(bytes, threads), interruptible, [&](Team& team) {
            shrink_fields<T>(shape, self.terms, kernels, from.empty() ? nullptr : from[0], old, scales, radii, Shrink(how),
                             to, team);
        });
    });
}

}  // namespace

void bind_differences(nb::module_& m) {
    nb::class_<Differences>(m, "Differences")
        .def(nb::init<>())
        .def("add", &Differences::add, nb::arg("n"), nb::arg("first"), nb::arg("weight"), nb::arg("inner"),
             nb::arg("outer"), nb::arg("axis"), nb::arg("source"), nb::arg("target"))
        .def("sum", &run_sum, nb::arg("batch"), nb::arg("shape"), nb::arg("unit"), nb::arg("sources").noconvert(),
             nb::arg("bases").noconvert(), nb::arg("factor"), nb::arg("scale"), nb::arg("targets").noconvert(),
             nb::arg("threads"), nb::arg("interruptible"))
        .def("shrink", &run_shrink, nb::arg("batch"), nb::arg("shape"), nb::arg("unit"), nb::arg("source").noconvert(),
             nb::arg("fields").noconvert(), nb::arg("scales"), nb::arg("radii"), nb::arg("how"),
             nb::arg("targets").noconvert(), nb::arg("threads"), nb::arg("interruptible"));
}

}  // namespace opalg
