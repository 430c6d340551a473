// /metrics: the controller's figures in Prometheus' text format.
#pragma once

#include <memory>
#include <string>

#include "exec/controller/controller.hpp"

namespace disagfusion::exec {

/// Names begin with disagfusion_. One thread, the controller's.
class Metrics {
 public:
  /// `controller` must outlive it; takes its set_on_end.
  explicit Metrics(Controller& controller);
  ~Metrics();
  /// Counts an HTTP answer.
  void answered(int status);
  /// The text, with everything as it stands now.
  std::string text();

 private:
  struct Families;
  Controller& controller_;
  std::unique_ptr<Families> families_;
};

}  // namespace disagfusion::exec
