// Not built: hack/manifests takes the schemas of PodMonitor and ServiceMonitor from it.
module instancepool.dev/hack/tools/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
