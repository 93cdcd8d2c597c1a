// Reads a JSON list of custom resources; writes a JSON list of complaints, null where there is none.
import { readFileSync } from "node:fs";
import * as keda from "@kubernetes-models/keda/keda.sh/v1alpha1";
import * as monitoring from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

const groups = { "keda.sh/v1alpha1": keda, "monitoring.coreos.com/v1": monitoring };

function complaint(found) {
  const Model = groups[found.apiVersion]?.[found.kind];
  if (!Model) return `no schema of ${found.apiVersion} ${found.kind}`;
  try {
    new Model(found).validate();
    return null;
  } catch (error) {
    return error.message;
  }
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(complaint)));
