/** Metrics of the semantic cache for Prometheus, by `prom-client`: ZooCache's names, and ours. */
export { cacheMetrics, type CacheMetricsOptions, type Measured } from "./prometheus/cache-metrics.js";
