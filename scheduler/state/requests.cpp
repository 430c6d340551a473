// The life of a request: arrival, admission, stages in dependence order, retries, its one end.
#include <algorithm>

#include "base/check.hpp"
#include "base/inline.hpp"
#include "scheduler/state/state.hpp"

namespace disagfusion::scheduler {

using Phase = StageRecord::Phase;

void Scheduler::State::arrive(const Event& event) {
  DF_CHECK(event.body != nullptr && event.request.valid());
  const RequestBody& body = *event.body;
  DF_CHECK_LT(body.model.index(), setup.graph.model_names.size());
  const std::uint32_t slot = event.request.slot;
  if (slot >= requests.size()) {
    requests.resize(slot + std::size_t{1});
    stages.resize(requests.size() * widest_model);
  }
  DF_CHECK(requests[slot].number == 0, "request slot {} is still in use", slot);

  AdmissionQuestion question;
  question.now = now;
  question.unfinished = unfinished;
  question.waiting = waiting_to_start;
  const Admission admission = policies.admission->decide(question);
  if (!admission.admit) {
    reject(event.request, admission);
    return;
  }
  RequestRecord& request = requests[slot];
  request = RequestRecord{};
  request.number = event.number;
  request.arrival = now;
  request.model = body.model;
  request.priority = body.priority;
  request.shape = costs.intern(body.shape);
  if (body.deadline) request.deadline = now + *body.deadline;
  std::optional<Duration> timeout = body.timeout;
  if (setup.request_timeout && (!timeout || *setup.request_timeout < *timeout)) {
    timeout = setup.request_timeout;
  }
  if (timeout) timers.set(request_timer(slot), now + *timeout);
  admit(slot);
  const double model_input = setup.input_bytes[body.model.index()];
  if (setup.transfers && model_input > 0) {
    std::uint16_t sources = 0;
    for (std::uint16_t i = 0; i < stage_count(request.model); ++i) {
      if (stage(slot, i).missing == 0) ++sources;
    }
    request.input =
        new_handle(HandleRecord::Kind::input, instances[0], event.request, node_of(slot, 0));
    HandleRecord& handle = handles[request.input.slot];
    handle.phase = HandleRecord::Phase::held;
    handle.bytes =
        body.input_bytes > 0 ? body.input_bytes : static_cast<std::uint64_t>(model_input);
    handle.consumers = sources;
  }
  NodeId node = node_of(slot, 0);
  StageRecord* record = &stage(slot, std::uint16_t{0});
  for (std::uint16_t left = request.stages_left; left > 0; --left, ++record, ++node.value) {
    if (record->missing == 0) make_ready(slot, *record, node);
  }
}

void Scheduler::State::reject(RequestKey key, const Admission& admission) {
  Action& action = emit(ActionKind::reject);
  action.request = key;
  action.state = EndState::rejected;
  action.why = admission.why;
  action.at = TimePoint{admission.retry_after.ns};
}

DF_INLINE void Scheduler::State::admit(std::uint32_t slot) {
  RequestRecord& request = requests[slot];
  emit(ActionKind::admit).request = request.key(slot);
  ++unfinished;
  ++waiting_to_start;
  request.stages_left = stage_count(request.model);
  const NodeFacts* known = &facts[node_of(slot, 0).index()];
  StageRecord* record = &stage(slot, std::uint16_t{0});
  for (std::uint16_t left = request.stages_left; left > 0; --left, ++known, ++record) {
    *record = StageRecord{};
    record->missing = static_cast<std::uint8_t>(known->predecessors);
    if (known->to_controller) ++request.egress_left;
  }
  if (elastic) count_work(request);
}

void Scheduler::State::count_work(const RequestRecord& request) {
  const std::size_t works = costs.shapes() * facts.size();
  if (unfinished_work.size() < works) {
    unfinished_work.resize(works);
    arrived_work.resize(works);
  }
  const std::size_t first =
      request.shape * facts.size() + setup.graph.first_node[request.model.index()].index();
  for (std::size_t i = first; i < first + request.stages_left; ++i) {
    ++unfinished_work[i];
    ++arrived_work[i];
  }
}

void Scheduler::State::make_ready_if_free(std::uint32_t slot, std::uint16_t position) {
  StageRecord& record = stage(slot, position);
  if (record.phase == Phase::waiting && record.missing == 0 && record.leaving == kNoSlot) {
    make_ready(slot, record, node_of(slot, position));
  }
}

void Scheduler::State::complete_stage(std::uint32_t slot, StageRecord& record, NodeId node) {
  RequestRecord& request = requests[slot];
  const NodeFacts& known = facts[node.index()];
  record.phase = Phase::done;
  record.batch = kNoSlot;
  record.next_step = 0;
  --request.stages_left;
  if (elastic) --unfinished_work[request.shape * facts.size() + node.index()];
  if (record.resume.valid()) {
    consume(record.resume);
    record.resume = {};
  }
  for (const NodeId before : predecessors(known)) consume(beside(record, node, before).output);
  bool dropped = false;  // a parked input of a join, where memory ran out
  for (const NodeId next : successors(known)) {
    StageRecord& successor = beside(record, node, next);
    if (successor.phase != Phase::waiting || successor.missing == 0)
      continue;  // a rerun for another
    successor.last_predecessor = static_cast<std::uint8_t>(known.position);
    if (--successor.missing > 0) continue;
    if (facts[next.index()].predecessors > 1 && !inputs_readable(slot, next)) {
      dropped = true;
      continue;
    }
    if (HandleRecord* handle = find(record.output)) ++handle->unsent;
    if (successor.leaving == kNoSlot) make_ready(slot, successor, next);
  }
  if (known.to_controller) {
    if (HandleRecord* handle = find(record.output)) ++handle->unsent;
    transfer(record.output, {kController, 0}, kNoSlot, request.key(slot));
  }
  if (dropped) restore(slot);  // it is made again
  if (request.stages_left == 0) complete_if_all_done(slot);
}

void Scheduler::State::complete_if_all_done(std::uint32_t slot) {
  if (requests[slot].stages_left == 0 && requests[slot].egress_left == 0) {
    end(slot, EndState::completed, Why::none);
  }
}

void Scheduler::State::cancel(RequestKey key, EndState state, Why why) {
  if (!alive(key)) {
    stale();
    return;
  }
  end(key.slot, state, why);
}

void Scheduler::State::withdraw(std::uint32_t slot, std::uint16_t position) {
  StageRecord& record = stage(slot, position);
  const NodeId node = node_of(slot, position);
  const RequestKey key = requests[slot].key(slot);
  switch (record.phase) {
    case Phase::queued: {
      const auto fresh = std::find_if(ready.begin(), ready.end(), [&](const Ready& r) {
        return r.request == slot && r.node == node;
      });
      if (fresh != ready.end()) {
        ready.erase(fresh);
        break;
      }
      const QueueEntry entry{record.queue_key, requests[slot].number, slot, node};
      const WeightsId weights = setup.graph.nodes[node.index()].weights;
      if (record.bound != kController) {
        Instance& in = instances[record.bound.index()];
        const int hosted = hosted_position(in, weights);
        DF_CHECK(hosted >= 0 && in.bound[static_cast<std::size_t>(hosted)].erase(entry));
        in.bound_work -= costs.whole(node, requests[slot].shape, costs.class_of(in.role));
        touch(in);
      } else {
        DF_CHECK(by_weights[weights.index()].queue.erase(entry), "request {} is not in its queue",
                 requests[slot].number);
      }
      break;
    }
    case Phase::assigned:
    case Phase::running:
      record.leaving = record.batch;
      kill_member(record.batch, key);
      break;
    case Phase::waiting:
    case Phase::done:
      break;
  }
  record.batch = kNoSlot;
  record.open_inputs = 0;
}

void Scheduler::State::end(std::uint32_t slot, EndState state, Why why) {
  RequestRecord& request = requests[slot];
  const std::size_t first = setup.graph.first_node[request.model.index()].index();
  const std::uint16_t count = stage_count(request.model);
  for (std::uint16_t i = 0; i < count; ++i) {
    StageRecord& record = stage(slot, i);
    if (record.phase != Phase::done) {
      if (elastic) --unfinished_work[request.shape * facts.size() + first + i];
      withdraw(slot, i);
    }
    if (record.output.valid()) release_when_free(record.output);
    if (record.resume.valid()) release_when_free(record.resume);
  }
  if (request.input.valid()) release_when_free(request.input);
  if (!request.started) --waiting_to_start;
  timers.cancel(request_timer(slot));
  Action& action = emit(ActionKind::end_request);
  action.request = request.key(slot);
  action.state = state;
  action.why = why;
  if (state == EndState::completed) action.handle = request.first_output;
  request.number = 0;
  --unfinished;
}

bool Scheduler::State::charge_retry(std::uint32_t slot) {
  if (++requests[slot].retries <= setup.max_retries) {
    ++counters.retries;
    return true;
  }
  end(slot, EndState::failed, Why::too_many_retries);
  return false;
}

void Scheduler::State::retry_all(const std::vector<std::uint32_t>& slots) {
  for (const std::uint32_t slot : slots) {
    if (requests[slot].number != 0 && charge_retry(slot)) restore(slot);
  }
}

/// A finished stage waits again; what it reads has one reader more.
void Scheduler::State::run_again(std::uint32_t slot, std::uint16_t position) {
  RequestRecord& request = requests[slot];
  StageRecord& record = stage(slot, position);
  const NodeId node = node_of(slot, position);
  record.phase = Phase::waiting;
  record.output = {};
  ++request.stages_left;
  if (elastic) ++unfinished_work[request.shape * facts.size() + node.index()];
  for (const NodeId before : setup.graph.nodes[node.index()].after) {
    StageRecord& maker = stage(slot, position_of(before));
    const bool made = maker.phase == Phase::done;
    if (!made && maker.phase != Phase::assigned && maker.phase != Phase::running) {
      continue;  // its readers are counted when it is given away
    }
    if (!made || readable(maker.output)) {
      if (HandleRecord* handle = find(maker.output)) ++handle->consumers;
    } else {
      maker.output = {};
    }
  }
}

/// An output for a join that lacks a predecessor again holds no slot.
void Scheduler::State::park(HandleKey key) {
  for (const HandleRecord* handle = find(key); handle != nullptr && handle->unsent > 0;
       handle = find(key)) {
    note_sent(key);
  }
}

/// Held, and not on its way out.
bool Scheduler::State::readable(HandleKey key) {
  const HandleRecord* handle = find(key);
  return handle != nullptr && handle->phase == HandleRecord::Phase::held && !handle->doomed;
}

void Scheduler::State::restore(std::uint32_t slot) {
  const ModelId model = requests[slot].model;
  const NodeId first = setup.graph.first_node[model.index()];
  const std::uint16_t count = stage_count(model);
  // Longest path from the sources: predecessors have a smaller one, so it orders the graph.
  std::vector<std::uint16_t> order(count);
  for (std::uint16_t i = 0; i < count; ++i) order[i] = i;
  const auto depth = [&](std::uint16_t i) {
    return setup.graph.nodes[first.index() + i].path_length;
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint16_t a, std::uint16_t b) { return depth(a) < depth(b); });
  // Backwards: a finished stage runs again when its output is lost and somebody still must read it.
  for (auto place = order.rbegin(); place != order.rend(); ++place) {
    StageRecord& record = stage(slot, *place);
    const StageNode& info = setup.graph.nodes[first.index() + *place];
    if (record.phase != Phase::done || readable(record.output)) continue;
    bool wanted =
        info.before.empty() && setup.has_output[first.index() + *place] != 0 && !record.delivered;
    for (const NodeId next : info.before) {
      const StageRecord& successor = stage(slot, position_of(next));
      wanted = wanted || (successor.phase != Phase::done && successor.phase != Phase::running &&
                          !(successor.resume.valid()));
    }
    if (wanted) run_again(slot, *place);
  }
  // Forwards: what lacks an input waits, what has them all is ready.
  for (const std::uint16_t position : order) {
    StageRecord& record = stage(slot, position);
    const StageNode& info = setup.graph.nodes[first.index() + position];
    if (record.phase == Phase::done || record.phase == Phase::running) continue;
    std::uint8_t missing = 0;
    for (const NodeId before : info.after) {
      if (stage(slot, position_of(before)).phase != Phase::done) ++missing;
    }
    if (record.resume.valid()) missing = 0;
    if (missing > 0 && record.phase != Phase::waiting) {
      withdraw(slot, position);
      record.phase = Phase::waiting;
    }
    record.missing = missing;
    // What was ready before its attempt was lost has been so since.
    if (missing == 0 && record.attempt > 0) record.keep_ready = true;
    if (missing > 0) {
      for (const NodeId before : info.after) park(stage(slot, position_of(before)).output);
    }
    make_ready_if_free(slot, position);
  }
}

}  // namespace disagfusion::scheduler
