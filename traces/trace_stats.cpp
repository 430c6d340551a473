#include "traces/trace_stats.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

namespace disagfusion::traces {

namespace {

/// Mean and variance by B. P. Welford's recurrence ("Note on a method for calculating corrected
/// sums of squares and products", Technometrics 4, 1962): m_n = m_(n-1) + (x - m_(n-1)) / n, S_n =
/// S_(n-1) + (x - m_(n-1)) (x - m_n).
class Moments {
 public:
  void add(double x) {
    ++count_;
    const double before = x - mean_;
    mean_ += before / static_cast<double>(count_);
    squares_ += before * (x - mean_);
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] double mean() const { return mean_; }
  /// Of the population: divided by n.
  [[nodiscard]] double variance() const {
    return count_ == 0 ? 0 : squares_ / static_cast<double>(count_);
  }

 private:
  std::uint64_t count_ = 0;
  double mean_ = 0, squares_ = 0;
};

/// The most arrivals in any window [t, t + length): each arrival opens one, and only those matter.
class PeakWindow {
 public:
  explicit PeakWindow(Duration length) : length_(length) {}
  void add(TimePoint arrival) {
    recent_.push_back(arrival);
    while (recent_.front() + length_ <= arrival) recent_.pop_front();
    if (recent_.size() > peak_.requests) peak_ = {recent_.size(), recent_.front()};
  }
  [[nodiscard]] Peak peak() const { return peak_; }

 private:
  Duration length_;
  std::deque<TimePoint> recent_;
  Peak peak_;
};

/// Index of dispersion of counts: variance over mean of the arrivals in the whole windows
/// [k w, (k + 1) w) that lie before the last arrival (D. R. Cox and P. A. W. Lewis, "The
/// Statistical Analysis of Series of Events", 1966).
class Dispersion {
 public:
  explicit Dispersion(Duration window) : window_(window) {}
  void add(TimePoint arrival) {
    const std::int64_t window = arrival.ns / window_.ns;
    for (; current_ < window; ++current_) {
      counts_.add(static_cast<double>(in_window_));
      in_window_ = 0;
    }
    ++in_window_;
  }
  [[nodiscard]] std::optional<double> value() const {
    if (counts_.count() < 2 || counts_.mean() == 0) return std::nullopt;
    return counts_.variance() / counts_.mean();
  }

 private:
  Duration window_;
  std::int64_t current_ = 0;
  std::uint64_t in_window_ = 0;
  Moments counts_;
};

/// The columns that the trace fills, in words; empty where it says nothing of shapes.
std::string shape_text(const Shape& shape, const TraceColumns& columns) {
  std::string text;
  const auto part = [&text](const std::string& words) {
    text += (text.empty() ? "" : ", ") + words;
  };
  const auto number = [](std::uint32_t value) {
    return value == 0 ? std::string("?") : std::to_string(value);
  };
  if (columns.has(Column::width) || columns.has(Column::height)) {
    part(number(shape.width) + "x" + number(shape.height));
  }
  const auto counted = [&part](std::uint32_t count, const char* thing) {
    part(fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s"));
  };
  if (columns.has(Column::frames)) counted(shape.frames, "frame");
  if (columns.has(Column::steps)) counted(shape.steps, "step");
  if (columns.has(Column::images)) counted(shape.images, "image");
  return text;
}

/// Counts shapes without making their texts for each row.
using ShapeCounts = std::map<Shape, std::uint64_t>;

}  // namespace

Result<TraceStats> trace_stats(const std::string& path) {
  const Result<TraceFacts> facts = validate(path, TraceContext::any_model());
  if (!facts) return tl::unexpected(facts.error());
  auto reader = open_trace(path, TraceContext::any_model());
  if (!reader) return tl::unexpected(reader.error());

  TraceStats stats;
  Moments gaps;
  PeakWindow minute(from_seconds(60)), hour(from_seconds(3600));
  Dispersion dispersion(from_seconds(60));
  std::vector<std::uint64_t> by_model;
  ShapeCounts by_shape;
  Request request;
  TimePoint before;
  for (;;) {
    const Result<bool> got = (*reader)->next(request);
    if (!got) return tl::unexpected(got.error());
    if (!*got) break;
    if (stats.rows > 0) {
      gaps.add((request.arrival - before).seconds());
      stats.zero_gaps += request.arrival == before ? 1 : 0;
    }
    before = request.arrival;
    minute.add(request.arrival);
    hour.add(request.arrival);
    dispersion.add(request.arrival);
    if (request.model.valid()) {
      if (request.model.index() >= by_model.size()) by_model.resize(request.model.index() + 1);
      ++by_model[request.model.index()];
    }
    ++by_shape[request.shape];
    ++stats.rows;
  }
  stats.first = facts->first;
  stats.last = facts->last;
  const double span = (stats.last - stats.first).seconds();
  if (span > 0) stats.rate_per_s = static_cast<double>(stats.rows - 1) / span;
  if (gaps.count() > 0) stats.gap_mean_s = gaps.mean();
  if (gaps.mean() > 0) stats.gap_cv = std::sqrt(gaps.variance()) / gaps.mean();
  stats.minute = minute.peak();
  stats.hour = hour.peak();
  stats.dispersion_minute = dispersion.value();
  for (std::size_t i = 0; i < by_model.size(); ++i) {
    stats.by_model[(*reader)->model_names()[i]] = by_model[i];
  }
  for (const auto& [shape, rows] : by_shape) {
    const std::string text = shape_text(shape, facts->columns);
    if (!text.empty()) stats.by_shape[text] += rows;
  }
  stats.notes = facts->notes;
  return stats;
}

}  // namespace disagfusion::traces
