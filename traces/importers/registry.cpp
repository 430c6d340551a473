#include <algorithm>

#include "traces/importers/importer.hpp"

namespace disagfusion::traces {

const Importer& alibaba_gentd26_importer();
const Importer& azure_llm_2023_importer();

const std::vector<const Importer*>& importers() {
  static const std::vector<const Importer*> all{
      &alibaba_gentd26_importer(),
      &azure_llm_2023_importer(),
  };
  return all;
}

Result<const Importer*> find_importer(const std::string& name) {
  std::vector<std::string> names;
  std::string list;
  for (const Importer* importer : importers()) {
    if (importer->name() == name) return importer;
    names.emplace_back(importer->name());
    list += (list.empty() ? "" : ", ") + names.back();
  }
  return fail(Problem{"", 0, 0, "FORMAT", "one of " + list, name, nearest_name(name, names)});
}

}  // namespace disagfusion::traces
