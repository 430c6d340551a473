#include "exec/stage/torch/torch_backend.hpp"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <new>
#include <optional>
#include <thread>

#include "exec/stage/torch/file_problem.hpp"
#include "exec/stage/torch/stage_runner.hpp"

namespace disagfusion::exec::torch_stage {

namespace {

/// Where the weights of a stage may lie: MODEL.safetensors in each folder, in order.
class WeightsFinder {
 public:
  explicit WeightsFinder(std::vector<std::string> folders) : folders_(std::move(folders)) {}

  [[nodiscard]] Result<std::string> find(const StageIdentity& stage) const {
    const std::string file =
        stage.weights_name.substr(0, stage.weights_name.find('/')) + ".safetensors";
    for (const std::string& folder : folders_) {
      const auto path = std::filesystem::path(folder) / file;
      std::error_code ignored;
      if (!folder.empty() && std::filesystem::is_regular_file(path, ignored)) return path.string();
    }
    return fail(file_problem("serve.models", stage.weights_name, "a file " + file, "no such file"));
  }

 private:
  std::vector<std::string> folders_;
};

/// The first line of an exception: LibTorch appends a stack trace.
std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

class TorchBackend final : public StageBackend {
 public:
  TorchBackend(const BackendContext& context, const std::string& shipped_models)
      : finder_({context.models_dir, shipped_models}),
        threads_(context.threads),
        thread_([this](const std::stop_token& stop) { serve(stop); }) {}

  ~TorchBackend() override {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
      tasks_.clear();
    }
    thread_.request_stop();
    changed_.notify_all();
    thread_.join();
  }
  TorchBackend(const TorchBackend&) = delete;
  TorchBackend& operator=(const TorchBackend&) = delete;

  void load(LoadRequest request, std::function<void(LoadResult)> done) override {
    post([this, request = std::move(request), done = std::move(done)] { do_load(request, done); });
  }
  void unload(std::function<void()> done) override {
    post([this, done = std::move(done)] {
      stages_.clear();
      answer(done);
    });
  }
  void submit(BatchJob job, BatchCallbacks callbacks) override {
    {
      const std::scoped_lock lock(mutex_);
      stop_wanted_.emplace(job.id, false);
    }
    post([this, job = std::move(job), callbacks = std::move(callbacks)] {
      do_batch(job, callbacks);
    });
  }
  void preempt(std::uint64_t id, bool /*keep_state*/) override {
    const std::scoped_lock lock(mutex_);
    const auto found = stop_wanted_.find(id);
    if (found != stop_wanted_.end()) found->second = true;
  }

 private:
  void post(std::function<void()> task) {
    {
      const std::scoped_lock lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
  }

  /// The thread: tasks in order until the destructor. ATen's thread count belongs to the thread.
  void serve(const std::stop_token& stop) {
    at::set_num_threads(std::max(1, threads_));
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [this] { return !tasks_.empty(); })) {
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  /// Calls back unless the destructor has begun.
  template <class Callback, class... Arguments>
  void answer(const Callback& callback, Arguments&&... arguments) {
    {
      const std::scoped_lock lock(mutex_);
      if (stopping_) return;
    }
    if (callback) callback(std::forward<Arguments>(arguments)...);
  }

  void do_load(const LoadRequest& request, const std::function<void(LoadResult)>& done) {
    LoadResult result;
    stages_.clear();
    try {
      result = load_stages(request);
    } catch (const std::bad_alloc&) {
      result = {scheduler::Reason::out_of_memory, "host memory ran out", 0};
    } catch (const std::exception& error) {
      result = {scheduler::Reason::bad_input, first_line(error), 0};
    }
    if (result.reason != scheduler::Reason::none) stages_.clear();
    answer(done, std::move(result));
  }

  LoadResult load_stages(const LoadRequest& request) {
    std::map<std::string, SafetensorsFile> files;
    std::uint64_t weights = 0;
    std::uint64_t workspace = 0;
    for (const StageIdentity& stage : request.stages) {
      const auto path = finder_.find(stage);
      if (!path) return refused(path.error());
      if (!files.contains(*path)) {
        auto file = SafetensorsFile::read(*path);
        if (!file) return refused(file.error());
        files.emplace(*path, std::move(*file));
      }
      auto runner = StageRunner::load(files.at(*path), stage.kind);
      if (!runner) return refused(runner.error());
      weights += runner->weight_bytes();
      workspace = std::max(workspace, runner->workspace_bytes());
      stages_.insert_or_assign(stage.weights, std::move(*runner));
    }
    LoadResult result;
    result.peak_bytes = weights + workspace;
    if (request.memory_budget > 0 && result.peak_bytes > request.memory_budget) {
      result.reason = scheduler::Reason::out_of_memory;
      result.message = fmt::format("expected at most {} bytes, got a need of {} bytes",
                                   request.memory_budget, result.peak_bytes);
    }
    return result;
  }

  static LoadResult refused(const Problems& problems) {
    return {scheduler::Reason::bad_input, problems.front().text(), 0};
  }

  void do_batch(const BatchJob& job, const BatchCallbacks& callbacks) {
    const auto start = std::chrono::steady_clock::now();
    BatchResult result;
    const auto gate = [&](std::uint32_t next_step) {
      if (next_step > job.first_step) answer(callbacks.step, next_step);
      return goes_on(job.id);
    };
    const auto found = stages_.find(job.weights);
    if (found == stages_.end()) {
      result = all_failed(job, scheduler::Reason::wrong_role, "these weights are not loaded");
    } else {
      try {
        result = found->second.run(job, gate);
      } catch (const std::bad_alloc&) {
        result = all_failed(job, scheduler::Reason::out_of_memory, "host memory ran out");
      } catch (const std::exception& error) {
        result = all_failed(job, scheduler::Reason::compute_error, first_line(error));
      }
    }
    result.compute = Duration{std::chrono::duration_cast<std::chrono::nanoseconds>(
                                  std::chrono::steady_clock::now() - start)
                                  .count()};
    finish(job.id);
    answer(callbacks.done, std::move(result));
  }

  static BatchResult all_failed(const BatchJob& job, scheduler::Reason reason,
                                const std::string& message) {
    BatchResult result;
    result.steps_done = job.first_step;
    MemberResult member;
    member.kind = MemberResult::Kind::failed;
    member.reason = reason;
    member.message = message;
    result.members.assign(job.members.size(), member);
    return result;
  }

  bool goes_on(std::uint64_t id) {
    const std::scoped_lock lock(mutex_);
    return !stopping_ && !stop_wanted_.at(id);
  }
  void finish(std::uint64_t id) {
    const std::scoped_lock lock(mutex_);
    stop_wanted_.erase(id);
  }

  const WeightsFinder finder_;
  const int threads_;
  std::map<WeightsId, StageRunner> stages_;  ///< of the thread alone

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::function<void()>> tasks_;
  std::map<std::uint64_t, bool> stop_wanted_;  ///< of submitted batches that have not ended
  bool stopping_ = false;
  std::jthread thread_;  ///< last: starts when all else is there
};

}  // namespace

Result<std::unique_ptr<StageBackend>> make_torch_backend(const BackendContext& context,
                                                         const std::string& shipped_models) {
  return std::unique_ptr<StageBackend>(std::make_unique<TorchBackend>(context, shipped_models));
}

BackendFactory torch_backend_factory() {
  return [](const BackendContext& context) {
    return make_torch_backend(context, DISAGFUSION_SHIPPED_MODELS);
  };
}

}  // namespace disagfusion::exec::torch_stage
