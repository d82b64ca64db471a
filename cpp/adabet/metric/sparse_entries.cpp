#include "adabet/metric/sparse_entries.hpp"

#include <cmath>
#include <string>

#include "adabet/errors.hpp"
#include "adabet/metric/matrix_entries.hpp"

namespace adabet {

namespace {

std::string place(const SparseEntries& graph, std::size_t k) {
    return at(static_cast<std::size_t>(graph.rows[k]), static_cast<std::size_t>(graph.columns[k]));
}

}  // namespace

void throw_outside(const SparseEntries& graph, std::size_t k) {
    throw InvalidInput("the sparse matrix's entry number " + std::to_string(k) + " lies outside its shape " +
                       at(graph.n, graph.n));
}

template <class Real>
void throw_no_distance(const SparseEntries& graph, std::size_t k) {
    const double value = entry(graph.lengths, 0, k);
    throw InvalidInput("the sparse matrix's entry " + place(graph, k) + " " + flaw_of<Real>(value) + ": got " +
                       text(value) + ", expected a distance >= 0");
}

void throw_off_diagonal(const SparseEntries& graph, std::size_t k) {
    throw InvalidInput("the sparse matrix's diagonal entry " + place(graph, k) + " is " +
                       text(entry(graph.lengths, 0, k)) + ", expected 0");
}

void throw_given_twice(std::size_t i, std::size_t j) {
    throw InvalidInput("the sparse matrix gives the pair " + at(i, j) +
                       " more than once; sum_duplicates() adds them up");
}

void throw_disagreement(std::size_t i, std::size_t j, double upper, double lower) {
    const auto shown = [](double value) { return std::isnan(value) ? std::string("missing") : text(value); };
    throw InvalidInput("the sparse matrix has entries in both triangles that do not agree: " + at(i, j) + " is " +
                       shown(upper) + ", " + at(j, i) + " is " + shown(lower) +
                       "; make a directed graph symmetric first, for example by G.maximum(G.T)");
}

template void throw_no_distance<float>(const SparseEntries&, std::size_t);
template void throw_no_distance<double>(const SparseEntries&, std::size_t);

}  // namespace adabet
