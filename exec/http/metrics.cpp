#include "exec/http/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace disagfusion::exec {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

struct Metrics::Families {
  template <class Metric, class Builder>
  Family<Metric>& make(Builder builder, const char* name, const char* help) {
    return builder.Name(name).Help(help).Register(registry);
  }
  Family<Counter>& counter(const char* name, const char* help) {
    return make<Counter>(prometheus::BuildCounter(), name, help);
  }
  Family<Gauge>& gauge(const char* name, const char* help) {
    return make<Gauge>(prometheus::BuildGauge(), name, help);
  }

  prometheus::Registry registry;
  Family<Counter>& http = counter("disagfusion_http_responses_total", "Answers, by HTTP status.");
  Family<Counter>& requests =
      counter("disagfusion_requests_total", "Requests that ended, by state.");
  Counter& arrived =
      counter("disagfusion_requests_arrived_total", "Requests that arrived.").Add({});
  Gauge& unfinished =
      gauge("disagfusion_requests_unfinished", "Admitted requests that have not ended.").Add({});
  Family<Histogram>& latency =
      make<Histogram>(prometheus::BuildHistogram(), "disagfusion_request_latency_seconds",
                      "Arrival to end of completed requests, by model.");
  Family<Gauge>& queue = gauge("disagfusion_stage_queue_length", "Requests that wait for a stage.");
  Family<Gauge>& ready = gauge("disagfusion_instance_ready", "1 where the instance takes work.");
  Family<Gauge>& computing =
      gauge("disagfusion_instance_computing", "1 where the instance computes.");
  Family<Gauge>& queued = gauge("disagfusion_instance_queued_batches",
                                "Batches in its run queue that have not started.");
  Family<Counter>& restarts =
      counter("disagfusion_worker_restarts_total", "Lost workers, by instance.");
  Counter& events =
      counter("disagfusion_scheduler_events_total", "Events that the scheduler took.").Add({});
  Counter& stale =
      counter("disagfusion_stale_events_total", "Events that changed nothing.").Add({});
  Counter& retries =
      counter("disagfusion_retries_total", "Attempts after a loss or failure.").Add({});
  Counter& preemptions = counter("disagfusion_preemptions_total", "Batches that yielded.").Add({});
  Counter& commits =
      counter("disagfusion_journal_commits_total", "Group commits of the event log.").Add({});
};

namespace {

void raise_to(Counter& counter, std::uint64_t value) {
  const double missing = static_cast<double>(value) - counter.Value();
  if (missing > 0) counter.Increment(missing);
}

const Histogram::BucketBoundaries kLatencyBounds{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,   2.5,
                                                 5,    10,    30,   60,  120,  300, 600, 1800};

}  // namespace

Metrics::Metrics(Controller& controller)
    : controller_(controller), families_(std::make_unique<Families>()) {
  controller_.set_on_end([this](const Account& account) {
    if (account.end != scheduler::EndState::completed) return;
    const std::string& model =
        controller_.deployment().setup.graph.model_names[account.body->model.index()];
    families_->latency.Add({{"model", model}}, kLatencyBounds)
        .Observe((account.ended_at - account.arrived).seconds());
  });
}

Metrics::~Metrics() { controller_.set_on_end({}); }

void Metrics::answered(int status) {
  families_->http.Add({{"status", std::to_string(status)}}).Increment();
}

std::string Metrics::text() {
  Families& f = *families_;
  const scheduler::Scheduler& scheduler = controller_.session().scheduler();
  const scheduler::Setup& setup = controller_.deployment().setup;
  const ControllerFigures& figures = controller_.figures();
  for (int end = 0; end < 5; ++end) {
    const char* name = scheduler::name_of(static_cast<scheduler::EndState>(end));
    raise_to(f.requests.Add({{"state", name}}), figures.by_end[end]);
  }
  raise_to(f.arrived, figures.arrived);
  f.unfinished.Set(static_cast<double>(scheduler.unfinished_requests()));
  for (std::size_t i = 0; i < setup.graph.weights.size(); ++i) {
    f.queue.Add({{"stage", setup.graph.weights[i]}})
        .Set(static_cast<double>(scheduler.queue_length(WeightsId{static_cast<std::uint16_t>(i)})));
  }
  for (const scheduler::InstanceView& view : scheduler.instances()) {
    const prometheus::Labels labels{{"instance", std::to_string(view.key.id.value)}};
    f.ready.Add(labels).Set(std::string_view(view.state) == "ready" ? 1 : 0);
    f.computing.Add(labels).Set(view.running ? 1 : 0);
    f.queued.Add(labels).Set(view.queued);
  }
  for (const Fleet::View& view : controller_.fleet().view()) {
    raise_to(f.restarts.Add({{"instance", std::to_string(view.id.value)}}), view.restarts);
  }
  raise_to(f.events, controller_.session().events());
  raise_to(f.stale, scheduler.counters().stale_events);
  raise_to(f.retries, scheduler.counters().retries);
  raise_to(f.preemptions, scheduler.counters().preemptions);
  raise_to(f.commits, figures.commits);
  return prometheus::TextSerializer().Serialize(f.registry.Collect());
}

}  // namespace disagfusion::exec
