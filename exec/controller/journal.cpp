#include "exec/controller/journal.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

namespace disagfusion::exec {

struct Journal::Thread {
  boost::asio::thread_pool pool{1};
};

Journal::Journal(std::unique_ptr<DurableSink> sink)
    : sink_(std::move(sink)), thread_(std::make_unique<Thread>()) {}

Journal::~Journal() { thread_->pool.join(); }

void Journal::record(TimePoint now, const scheduler::Event& event, std::uint64_t actions_hash) {
  group_.push_back({now, OwnedEvent::copy_of(event), actions_hash});
}

void Journal::commit(std::function<void(bool)> done) {
  boost::asio::post(thread_->pool, [this, group = std::move(group_), done = std::move(done)] {
    for (const Record& record : group) sink_->record(record.now, record.event.view(), record.hash);
    done(sink_->commit());
  });
  group_.clear();
}

}  // namespace disagfusion::exec
