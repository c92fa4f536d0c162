// Package agent is a compute host without a hypervisor: it claims resources for instances, which is where nova's compute
// service decides whether it takes one, and tells the schedulers what it has and what runs on it.
//
// It serves topic compute, namespace claims, version 1.0: build, resize, delete, list and, for
// schedulers that have just started and know no host, the cast report. Methods may be called again for the
// same instance, as a caller does who does not know whether its first call arrived. What is refused fails as an exception of
// nova: [UnavailableError], [ExistsError] and [NotFoundError] say as which.
//
// Claims are kept in memory. After a restart the agent has none, and tells the schedulers so; schedulers that have been
// restarted learn of all claims from the next report.
package agent
