#include "exec/stage/emulated.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cmath>
#include <optional>

#include "base/check.hpp"
#include "base/random.hpp"
#include "exec/stage/picture.hpp"
#include "predictor/service_draw.hpp"

namespace disagfusion::exec {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

/// FNV-1a, 64 bits (Fowler, Noll, Vo): enough to tell inputs apart.
class Digest {
 public:
  void add(std::string_view text) {
    for (const char c : text) value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    add(text.size());
  }
  void add(std::uint64_t number) {
    for (int i = 0; i < 8; ++i) {
      value_ = (value_ ^ (number & 0xffU)) * 0x100000001b3U;
      number >>= 8U;
    }
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325U;
};

constexpr std::uint32_t kPictureSide = 16;
constexpr std::size_t kLargestOutput = 4096;
constexpr std::size_t kDigestSize = sizeof(std::uint64_t);

std::string text_of(std::uint64_t digest) {
  std::string text;
  for (std::size_t i = 0; i < kDigestSize; ++i)
    text.push_back(static_cast<char>(digest >> (8 * i)));
  return text;
}

/// What a member's output depends on: its body and what its predecessors made. A state is this
/// digest, taken when the first step began.
std::uint64_t digest_of(const BatchJob& job, const MemberJob& member) {
  if (member.state.size() == kDigestSize) {
    std::uint64_t digest = 0;
    for (std::size_t i = kDigestSize; i-- > 0;) {
      digest = digest << 8U | static_cast<unsigned char>(member.state.bytes()[i]);
    }
    return digest;
  }
  const scheduler::RequestBody& body = *member.request;
  Digest digest;
  digest.add(job.node.value);
  digest.add(body.noise_seed);
  digest.add(body.prompt);
  digest.add(body.shape.width);
  digest.add(body.shape.height);
  digest.add(body.shape.steps);
  for (const Buffer& input : member.inputs) digest.add(input.bytes());
  return digest.value();
}

/// One picture for each image: 16 x 16 tints.
std::string pictures(std::uint64_t digest, std::uint32_t images) {
  std::string out;
  for (std::uint32_t i = 0; i < images; ++i) {
    RandomStream stream(digest, Purpose::weights, i);
    Picture picture{kPictureSide, kPictureSide, {}};
    for (std::uint32_t p = 0; p < kPictureSide * kPictureSide; ++p) {
      const std::uint64_t bits = stream.bits();
      for (int c = 0; c < 3; ++c) picture.pixels.push_back(static_cast<char>(bits >> (8 * c)));
    }
    append_ppm(out, picture);
  }
  return out;
}

std::string bytes_from(std::uint64_t digest, std::size_t size) {
  std::string out = text_of(digest);
  RandomStream stream(digest, Purpose::weights, 0);
  while (out.size() < size) out += text_of(stream.bits());
  return out;
}

class EmulatedBackend final : public StageBackend {
 public:
  EmulatedBackend(asio::any_io_executor executor, EmulatedCosts costs)
      : life_(std::make_shared<Life>(executor)), costs_(std::move(costs)) {
    life_->backend = this;
  }
  ~EmulatedBackend() override {
    life_->backend = nullptr;
    life_->timer.cancel();
  }

  void load(LoadRequest, std::function<void(LoadResult)> done) override {
    DF_CHECK(!job_);
    after(costs_.load, [done = std::move(done)] { done({}); });
  }

  void unload(std::function<void()> done) override {
    DF_CHECK(!job_);
    after({}, std::move(done));
  }

  void submit(BatchJob job, BatchCallbacks callbacks) override {
    DF_CHECK(!job_ && !job.members.empty());
    job_ = std::move(job);
    callbacks_ = std::move(callbacks);
    stop_at_.reset();
    began_ = steady_clock::now();
    plan();
    wait_until(job_->last_step);
  }

  void preempt(std::uint64_t id, bool /*keep_state*/) override {
    if (!job_ || job_->id != id || step_ns_ <= 0) return;
    const double elapsed =
        costs_.speed * static_cast<double>((steady_clock::now() - began_).count());
    const double steps = std::max(0.0, std::ceil((elapsed - fixed_ns_) / step_ns_));
    const double at = static_cast<double>(job_->first_step) + steps;
    if (at >= static_cast<double>(job_->last_step)) return;
    stop_at_ = static_cast<std::uint32_t>(at);
    wait_until(*stop_at_);
  }

 private:
  /// Outlives the backend where a handler is still on its way.
  struct Life {
    explicit Life(const asio::any_io_executor& executor) : timer(executor) {}
    asio::steady_timer timer;
    EmulatedBackend* backend = nullptr;
    std::uint64_t armed = 0;  ///< counts waits: a handler of an earlier one does nothing
  };

  /// Waits so much scenario time, then calls on the executor unless the backend is gone or waits
  /// anew.
  void after(Duration length, std::function<void()> call) {
    arm(steady_clock::now() + real(static_cast<double>(length.ns)), std::move(call));
  }
  void arm(steady_clock::time_point at, std::function<void()> call) {
    life_->timer.expires_at(at);
    life_->timer.async_wait([life = life_, mine = ++life_->armed, call = std::move(call)](auto) {
      if (life->backend != nullptr && life->armed == mine) call();
    });
  }
  [[nodiscard]] std::chrono::nanoseconds real(double ns) const {
    return std::chrono::nanoseconds(std::llround(ns / costs_.speed));
  }

  /// Seconds of this batch as fixed + per step.
  void plan() {
    const BatchJob& job = *job_;
    predictor::Query query;
    query.node = job.node;
    query.shape = job.members.front().request->shape;
    query.gpu = costs_.gpu;
    query.degree = static_cast<std::uint16_t>(costs_.degree);
    query.batch = static_cast<std::uint32_t>(job.members.size()) * std::max(1U, query.shape.images);
    query.offload = costs_.offload;
    query.dtype = costs_.dtype;
    const predictor::Estimate estimate = costs_.truth->estimate(query);
    const double factor = draw_factor(estimate);
    fixed_ns_ = job.first_step == 0 ? estimate.fixed_s * 1e9 * factor : 0;
    step_ns_ = estimate.per_step_s * 1e9 * factor;
  }

  /// The luck of a batch: its first member's, the same as in the simulator.
  [[nodiscard]] double draw_factor(const predictor::Estimate& estimate) const {
    if (estimate.distribution == Distribution::constant) return 1;
    const std::uint64_t index = job_->members.front().number - 1;
    return predictor::service_factor(estimate, costs_.seed, index,
                                     costs_.nodes[job_->node.index()].stage,
                                     predictor::service_bits(costs_.seed, index));
  }

  void wait_until(std::uint32_t step) {
    const double ns = fixed_ns_ + step_ns_ * static_cast<double>(step - job_->first_step);
    arm(began_ + real(ns), [this, step] { finish(step); });
  }

  void finish(std::uint32_t step) {
    BatchJob job = std::move(*job_);
    job_.reset();
    BatchCallbacks callbacks = std::move(callbacks_);
    BatchResult result;
    result.steps_done = step;
    result.preempted = stop_at_.has_value();
    result.compute = Duration{
        std::llround(costs_.speed * static_cast<double>((steady_clock::now() - began_).count()))};
    for (const MemberJob& member : job.members) {
      result.members.push_back(outcome(job, member, result.preempted));
    }
    if (callbacks.step) callbacks.step(step);
    callbacks.done(std::move(result));
  }

  [[nodiscard]] MemberResult outcome(const BatchJob& job, const MemberJob& member,
                                     bool preempted) const {
    MemberResult result;
    const std::uint64_t digest = digest_of(job, member);
    const auto claimed = static_cast<std::size_t>(
        std::max(0.0, costs_.truth->output_bytes(job.node, member.request->shape)));
    if (preempted) {
      result.kind = MemberResult::Kind::state;
      result.bytes = Buffer::of(text_of(digest));
    } else if (costs_.nodes[job.node.index()].before.empty()) {
      result.bytes = Buffer::of(pictures(digest, std::max(1U, member.request->shape.images)));
    } else {
      result.bytes = Buffer::of(bytes_from(digest, std::min(kLargestOutput, claimed)));
    }
    if (result.kind == MemberResult::Kind::output) result.stands_for = claimed;
    return result;
  }

  std::shared_ptr<Life> life_;
  EmulatedCosts costs_;
  std::optional<BatchJob> job_;
  BatchCallbacks callbacks_;
  std::optional<std::uint32_t> stop_at_;
  steady_clock::time_point began_;
  double fixed_ns_ = 0, step_ns_ = 0;
};

}  // namespace

std::unique_ptr<StageBackend> make_emulated_backend(asio::any_io_executor executor,
                                                    EmulatedCosts costs) {
  return std::make_unique<EmulatedBackend>(std::move(executor), std::move(costs));
}

}  // namespace disagfusion::exec
