// The LibTorch backend through its torch-free interface: one seed is one picture, whether the
// stages run in one backend or hand bytes to each other, and wherever a sequence of steps was cut.
#include "exec/stage/torch/torch_backend.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <mutex>

namespace disagfusion::exec::torch_stage {
namespace {

using scheduler::Reason;
using scheduler::RequestBody;

const StageIdentity kEncoder{WeightsId(0), "fashion/encoder", "fashion", "encoder",
                             StageKind::encoder};
const StageIdentity kDit{WeightsId(1), "fashion/dit", "fashion", "dit", StageKind::dit};
const StageIdentity kDecoder{WeightsId(2), "fashion/decoder", "fashion", "decoder",
                             StageKind::decoder};

std::shared_ptr<RequestBody> request_of(const std::string& prompt, std::uint64_t seed,
                                        std::uint32_t steps = 6) {
  auto body = std::make_shared<RequestBody>();
  body->prompt = prompt;
  body->noise_seed = seed;
  body->shape = {32, 32, 1, steps, 1};
  return body;
}

/// A backend whose calls wait for their answers.
class Instance {
 public:
  explicit Instance(std::vector<StageIdentity> stages, std::uint64_t budget = 0) {
    BackendContext context;
    context.stages = stages;
    context.models_dir = std::string(DISAGFUSION_SOURCE_DIR) + "/exec/stage/torch/builtin";
    backend_ = std::move(make_torch_backend(context, "").value());
    loaded = load(std::move(stages), budget);
  }

  LoadResult load(std::vector<StageIdentity> stages, std::uint64_t budget = 0) {
    std::promise<LoadResult> result;
    backend_->load({std::move(stages), "bf16", budget},
                   [&](LoadResult r) { result.set_value(std::move(r)); });
    return result.get_future().get();
  }

  BatchResult run(const StageIdentity& stage, std::vector<MemberJob> members,
                  std::uint32_t first = 0, std::uint32_t last = 6,
                  std::function<void(std::uint32_t)> on_step = {}) {
    std::promise<BatchResult> result;
    BatchJob job{++last_id_, stage.weights, NodeId(0), first, last, std::move(members)};
    backend_->submit(std::move(job),
                     {std::move(on_step), [&](BatchResult r) { result.set_value(std::move(r)); }});
    return result.get_future().get();
  }
  StageBackend& backend() { return *backend_; }
  [[nodiscard]] std::uint64_t next_id() const { return last_id_ + 1; }

  LoadResult loaded;

 private:
  std::unique_ptr<StageBackend> backend_;
  std::uint64_t last_id_ = 0;
};

MemberJob member_of(std::shared_ptr<const RequestBody> request, Buffer input = {},
                    Buffer state = {}) {
  MemberJob member;
  member.request = std::move(request);
  member.inputs.push_back(std::move(input));
  member.state = std::move(state);
  return member;
}

/// A copy in memory of its own, as after a transfer.
Buffer transferred(const Buffer& buffer) { return Buffer::of(std::string(buffer.bytes())); }

std::string picture_of(Instance& encoder, Instance& dit, Instance& decoder,
                       const std::shared_ptr<RequestBody>& request) {
  const auto text = encoder.run(kEncoder, {member_of(request)}).members[0].bytes;
  const auto latent = dit.run(kDit, {member_of(request, transferred(text))}).members[0].bytes;
  const auto picture =
      decoder.run(kDecoder, {member_of(request, transferred(latent))}).members[0].bytes;
  return std::string(picture.bytes());
}

TEST(TorchBackend, OneSeedOnePictureMonolithicOrDisaggregated) {
  Instance all({kEncoder, kDit, kDecoder});
  ASSERT_EQ(all.loaded.reason, Reason::none) << all.loaded.message;
  EXPECT_GT(all.loaded.peak_bytes, 7'000'000U);
  Instance encoder({kEncoder});
  Instance dit({kDit});
  Instance decoder({kDecoder});
  const auto request = request_of("a red sneaker", 7);
  const std::string one = picture_of(all, all, all, request);
  EXPECT_EQ(one, picture_of(encoder, dit, decoder, request));
  EXPECT_EQ(one.size(), 13U + 32 * 32 * 3);
  EXPECT_TRUE(one.starts_with("P6\n32 32\n255\n"));
  EXPECT_NE(one, picture_of(all, all, all, request_of("a red sneaker", 8)));
  EXPECT_NE(one, picture_of(all, all, all, request_of("a blue sneaker", 7)));
}

TEST(TorchBackend, ResumesAtAnyStepWithTheSameBytes) {
  Instance all({kEncoder, kDit});
  Instance elsewhere({kDit});
  const auto request = request_of("green dress", 3);
  const auto text = all.run(kEncoder, {member_of(request)}).members[0].bytes;
  const auto whole = all.run(kDit, {member_of(request, text)}).members[0].bytes;
  for (std::uint32_t stop = 1; stop < 6; ++stop) {
    const auto cut = all.run(kDit, {member_of(request, text)}, 0, 6, [&](std::uint32_t done) {
      if (done == stop) all.backend().preempt(all.next_id() - 1, true);
    });
    ASSERT_TRUE(cut.preempted) << stop;
    ASSERT_EQ(cut.steps_done, stop);
    ASSERT_EQ(cut.members[0].kind, MemberResult::Kind::state);
    const auto rest =
        elsewhere.run(kDit, {member_of(request, {}, transferred(cut.members[0].bytes))}, stop, 6);
    ASSERT_EQ(rest.members[0].kind, MemberResult::Kind::output) << rest.members[0].message;
    EXPECT_EQ(rest.members[0].bytes.bytes(), whole.bytes()) << stop;
  }
}

TEST(TorchBackend, ABatchGivesItsMembersPictures) {
  Instance all({kEncoder, kDit, kDecoder});
  const std::vector<std::shared_ptr<RequestBody>> requests{
      request_of("a red sneaker", 1), request_of("black bag", 2), request_of("pink t-shirt", 3)};
  std::vector<MemberJob> members;
  for (const auto& request : requests) members.push_back(member_of(request));
  for (const StageIdentity* stage : {&kEncoder, &kDit, &kDecoder}) {
    const auto result = all.run(*stage, members);
    for (std::size_t i = 0; i < requests.size(); ++i)
      members[i] = member_of(requests[i], result.members[i].bytes);
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::string alone = picture_of(all, all, all, requests[i]);
    const std::string_view together = members[i].inputs[0].bytes();
    ASSERT_EQ(alone.size(), together.size());
    for (std::size_t at = 0; at < alone.size(); ++at)
      ASSERT_NEAR(std::uint8_t(alone[at]), std::uint8_t(together[at]), 1) << at;
  }
}

TEST(TorchBackend, SeveralPicturesOfOneRequest) {
  Instance all({kEncoder, kDit, kDecoder});
  const auto one = request_of("teal coat", 5);
  const auto three = request_of("teal coat", 5);
  three->shape.images = 3;
  const std::string first = picture_of(all, all, all, one);
  const std::string pictures = picture_of(all, all, all, three);
  ASSERT_EQ(pictures.size(), 3 * first.size());
  for (std::uint64_t picture = 0; picture < 3; ++picture) {
    const std::string alone = picture_of(all, all, all, request_of("teal coat", 5 + picture));
    for (std::size_t at = 0; at < first.size(); ++at)
      ASSERT_NEAR(std::uint8_t(alone[at]), std::uint8_t(pictures[picture * first.size() + at]), 1);
  }
}

TEST(TorchBackend, StepsAreToldInOrderAndDoneIsLast) {
  Instance all({kEncoder, kDit});
  const auto request = request_of("bag", 1);
  const auto text = all.run(kEncoder, {member_of(request)}).members[0].bytes;
  std::vector<std::uint32_t> told;
  const auto result = all.run(kDit, {member_of(request, text)}, 0, 6,
                              [&](std::uint32_t done) { told.push_back(done); });
  EXPECT_EQ(told, (std::vector<std::uint32_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(result.steps_done, 6U);
  EXPECT_FALSE(result.preempted);
  EXPECT_GT(result.compute.ns, 0);
}

TEST(TorchBackend, AnUnfitMemberFailsAlone) {
  Instance all({kEncoder, kDit, kDecoder});
  const auto good = request_of("bag", 1);
  const auto large = request_of("bag", 1);
  large->shape.width = 1024;
  const auto text = all.run(kEncoder, {member_of(good)}).members[0].bytes;
  const auto result = all.run(kDit, {member_of(large, text), member_of(good, text),
                                     member_of(good, Buffer::of("nonsense")), member_of(good)});
  EXPECT_EQ(result.members[0].reason, Reason::bad_input);
  EXPECT_EQ(result.members[0].message, "request: size: expected 32x32 pixels, got 1024x32");
  EXPECT_EQ(result.members[1].kind, MemberResult::Kind::output);
  EXPECT_EQ(result.members[2].kind, MemberResult::Kind::failed);
  EXPECT_EQ(result.members[3].message,
            "output of encoder: expected a header of 8 bytes, got 0 bytes");
  const auto encoded = all.run(kEncoder, {member_of(large), member_of(good)});
  EXPECT_EQ(encoded.members[0].reason, Reason::bad_input);
  EXPECT_EQ(encoded.members[1].bytes.bytes(), text.bytes());
  const auto decoded = all.run(kDecoder, {member_of(good, text)});
  EXPECT_EQ(decoded.members[0].message,
            "output of dit: expected a tensor 'latent', got tensors text");
}

TEST(TorchBackend, LoadsWhatFitsAndNamesWhatIsMissing) {
  Instance small({kDit}, 1'000'000);
  EXPECT_EQ(small.loaded.reason, Reason::out_of_memory);
  const auto text = small.run(kDit, {member_of(request_of("bag", 1))});
  EXPECT_EQ(text.members[0].reason, Reason::wrong_role) << "after a failure nothing is loaded";

  StageIdentity other = kDit;
  other.weights_name = "flux/dit";
  const LoadResult missing = small.load({other});
  EXPECT_EQ(missing.reason, Reason::bad_input);
  EXPECT_EQ(missing.message,
            "serve.models: flux/dit: expected a file flux.safetensors, got no such file");
  other = kDit;
  other.kind = StageKind::image_encoder;
  EXPECT_EQ(small.load({other}).reason, Reason::bad_input);
  EXPECT_EQ(small.load({kDit}).reason, Reason::none);
}

TEST(TorchBackend, UnloadFreesTheWeights) {
  Instance all({kEncoder});
  std::promise<void> done;
  all.backend().unload([&] { done.set_value(); });
  done.get_future().get();
  EXPECT_EQ(all.run(kEncoder, {member_of(request_of("bag", 1))}).members[0].reason,
            Reason::wrong_role);
}

TEST(TorchBackend, TheDestructorStopsAtAStepAndAnswersNothing) {
  auto all = std::make_unique<Instance>(std::vector{kEncoder, kDit});
  const auto request = request_of("bag", 1, 100000);
  const auto text = all->run(kEncoder, {member_of(request)}).members[0].bytes;
  std::promise<void> started;
  bool answered = false;
  bool told = false;
  all->backend().submit({99, kDit.weights, NodeId(0), 0, 100000, {member_of(request, text)}},
                        {[&](std::uint32_t) {
                           if (!std::exchange(told, true)) started.set_value();
                         },
                         [&](BatchResult) { answered = true; }});
  started.get_future().get();
  all.reset();
  EXPECT_FALSE(answered);
}

}  // namespace
}  // namespace disagfusion::exec::torch_stage
