#include "base/policy_reader.hpp"

#include <string>
#include <vector>

namespace disagfusion {

namespace {

/// Names of one kind of policy: those built, and those that the format has besides.
struct PolicyNames {
  const char* key;
  std::vector<std::string> built;
  std::vector<std::string> to_come;
};

const std::vector<PolicyNames>& policy_names() {
  static const std::vector<PolicyNames> names{
      {"admission", {"unlimited", "bounded"}, {"deadline"}},
      {"queue", {"fifo", "deadline"}, {"shortest", "priority"}},
      {"routing", {"most-free", "least-completion"}, {"round-robin"}},
      {"batching", {"none", "equal-shapes"}, {}},
      {"preemption", {"none", "deadline"}, {"priority"}},
      {"elasticity",
       {"static", "schedule", "hybrid"},
       {"reactive", "hpa", "keda", "dynamo", "inferline", "fork-predict", "fork-feedback",
        "fork-both", "oracle"}},
  };
  return names;
}

/// A name, or a map with `name` and parameters.
void read_policy(MapReader& map, const PolicyNames& names, PolicySpec& policy) {
  const ConfigNode node = map.take(names.key);
  if (!node.valid()) return;
  policy.place = node.place();
  const Reader<std::string> choice = as_choice(names.built, names.to_come);
  if (!node.is_map()) {
    policy.name = choice.read(node, map.problems()).value_or(policy.name);
    policy.parameters = ConfigNode::empty_map(node.place());
    return;
  }
  const ConfigNode name = node.find("name");
  if (!name.valid()) {
    Place place = node.place();
    place.path += ".name";
    map.problems().push_back(problem_at(place, choice.expected, "nothing"));
    return;
  }
  policy.name = choice.read(name, map.problems()).value_or(policy.name);
  policy.parameters = node.without("name");
}

}  // namespace

PoliciesSpec read_policies(MapReader& root) {
  PoliciesSpec policies;
  const ConfigNode node = root.take("policy");
  if (!node.valid()) return policies;
  MapReader map(node, root.problems(), "a map such as {queue: fifo, elasticity: static}");
  policies.async_handoff =
      map.get("handoff", as_choice({"async", "sync"}), std::string("async")) == "async";
  policies.pull_dispatch =
      map.get("dispatch", as_choice({"pull", "push"}), std::string("pull")) == "pull";
  const std::vector<PolicySpec*> specs{&policies.admission,  &policies.queue,
                                       &policies.routing,    &policies.batching,
                                       &policies.preemption, &policies.elasticity};
  for (std::size_t i = 0; i < specs.size(); ++i) read_policy(map, policy_names()[i], *specs[i]);
  map.finish();
  return policies;
}

bool is_elastic(const PoliciesSpec& policy) { return policy.elasticity.name != "static"; }

}  // namespace disagfusion
