package main

import (
	"time"

	"github.com/goslo/goslo/cmd/scheduler/internal/agent"
	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/listen"
	"github.com/goslo/goslo/service/wsgi"
)

// Groups of this program's own options. That of the schedulers is nova's, whose workers option counts.
const (
	schedulerGroup = "scheduler"
	apiGroup       = "scheduler_api"
	agentGroup     = "scheduler_agent"
)

// Options of every service (oslo.service's, and goslo's reload_strategy).
var (
	gracefulOption = &config.Option[time.Duration]{
		Name: "graceful_shutdown_timeout", Type: config.Seconds(config.AtLeast(time.Duration(0))), Default: 60 * time.Second,
		Help: "Seconds that an orderly stop may take; 0 is no limit.",
	}
	logOptionsOption = &config.Option[bool]{
		Name: "log_options", Type: config.Bool(), Default: true, Help: "Log all options at level DEBUG at the start.",
	}
	restartMethodOption = &config.Option[string]{
		Name: "restart_method", Type: config.String(config.OneOf(string(service.Reload), string(service.Mutate))), Default: string(service.Reload),
		Help: "What SIGHUP does: start everything anew with the files as they are then, or take over mutable options alone.",
	}
	reloadStrategyOption = &config.Option[string]{
		Name: "reload_strategy", Type: config.String(config.OneOf(string(service.Rolling), string(service.AtOnce))), Default: string(service.Rolling),
		Help: "How several workers are replaced at a reload: one after the other, or all at once.",
	}
	hostOption = &config.Option[string]{
		Name: "host", Type: config.String(), NoDefault: true, Help: "The name of this server on the bus; by default the machine's.",
	}
)

func serviceOptions() []config.Definition {
	return []config.Definition{gracefulOption, logOptionsOption, restartMethodOption, reloadStrategyOption}
}

// Options of the schedulers.
var (
	topicOption = &config.Option[string]{
		Group: schedulerGroup, Name: "topic", Type: config.String(), Default: "scheduler", Help: "The topic of the schedulers.",
	}
	hostsOption = &config.Option[string]{
		Group: schedulerGroup, Name: "hosts", Type: config.String(), NoDefault: true,
		Help: "The JSON file with compute hosts that are known from the start; more come by report_capacity.",
	}
	executorOption = &config.Option[string]{
		Group: schedulerGroup, Name: "executor", Type: config.String(), Default: string(executor.Threading),
		Help: "How methods run: threading, pool or blocking.",
	}
	workersOption = &config.Option[int]{
		Group: schedulerGroup, Name: "workers", Type: config.Int(config.AtLeast(1), config.AtMost(maxWorkers)), Default: 1,
		Help: "How many processes serve.",
	}
)

// maxWorkers is what one machine has processors for.
const maxWorkers = 1000

// others are options that nova has in the group of its schedulers: a file may have them without a warning.
var others = []string{
	"driver", "periodic_task_interval", "max_attempts", "discover_hosts_in_cells_interval", "max_placement_results",
	"limit_tenants_to_placement_aggregate", "placement_aggregate_required_for_tenants", "query_placement_for_image_type_support",
	"query_placement_for_availability_zone", "query_placement_for_routed_network_aggregates", "enable_isolated_aggregate_filtering",
	"image_metadata_prefilter", "host_manager",
}

func schedulerOptions() []config.Definition {
	return []config.Definition{hostOption, topicOption, hostsOption, executorOption, workersOption}
}

// Options of the HTTP front. Those of [DEFAULT] are oslo.service's.
var (
	listenOption = &config.Option[string]{
		Group: apiGroup, Name: "listen", Type: config.String(), Default: "127.0.0.1:8780",
		Help: "The address to serve HTTP on, as host:port, or the path of a unix socket.",
	}
	apiWorkersOption = &config.Option[int]{
		Group: apiGroup, Name: "workers", Type: config.Int(config.AtLeast(1), config.AtMost(maxWorkers)), Default: 1,
		Help: "How many processes serve HTTP.",
	}
	poolSizeOption = &config.Option[int]{
		Name: "wsgi_default_pool_size", Type: config.Int(config.AtLeast(1)), Default: wsgi.DefaultConfig().PoolSize,
		Help: "How many connections a process handles at once.",
	}
	headerLineOption = &config.Option[int]{
		Name: "max_header_line", Type: config.Int(config.AtLeast(1)), Default: wsgi.DefaultConfig().MaxHeaderLine,
		Help: "How many bytes a line of a request's header may have.",
	}
	keepAliveOption = &config.Option[bool]{
		Name: "wsgi_keep_alive", Type: config.Bool(), Default: true, Help: "Keep connections for further requests.",
	}
	clientTimeoutOption = &config.Option[time.Duration]{
		Name: "client_socket_timeout", Type: config.Seconds(config.AtLeast(time.Duration(0))), Default: wsgi.DefaultConfig().ClientSocketTimeout,
		Help: "Seconds that a client may take for each step of a request; 0 is no limit.",
	}
	keepIdleOption = &config.Option[time.Duration]{
		Name: "tcp_keepidle", Type: config.Seconds(config.AtLeast(time.Duration(0))), Default: listen.DefaultKeepIdle,
		Help: "Seconds after which the kernel asks whether the peer of a silent connection is still there.",
	}
	logFormatOption = &config.Option[string]{
		Name: "wsgi_log_format", Type: config.String(), NoDefault: true,
		Help: "The template of an access log in oslo.service's form, beside the line that each request has anyway; by default there is none.",
	}
)

func apiOptions() []config.Definition {
	return []config.Definition{
		topicOption, listenOption, apiWorkersOption, poolSizeOption, headerLineOption, keepAliveOption, clientTimeoutOption, keepIdleOption, logFormatOption,
	}
}

// Options of the compute agent.
var (
	vcpusOption  = amountOption("vcpus", 8, "The host's virtual CPUs.")
	memoryOption = amountOption("memory_mb", 16384, "The host's memory in MiB.")
	diskOption   = amountOption("disk_gb", 200, "The host's disk in GiB.")
	zoneOption   = &config.Option[string]{
		Group: agentGroup, Name: "availability_zone", Type: config.String(), Default: "nova", Help: "The host's availability zone; empty for none.",
	}
	nodeUUIDOption = &config.Option[string]{
		Group: agentGroup, Name: "compute_node_uuid", Type: config.String(), NoDefault: true,
		Help: "The UUID of the host; by default one that is made of its name, the same each time.",
	}
	cellUUIDOption = &config.Option[string]{
		Group: agentGroup, Name: "cell_uuid", Type: config.String(), Default: "cccccccc-0000-4000-8000-000000000001", Help: "The UUID of the host's cell.",
	}
	buildTimeOption = &config.Option[time.Duration]{
		Group: agentGroup, Name: "build_time", Type: config.FractionalSeconds(config.AtLeast(time.Duration(0))), Help: "Seconds that the build of an instance takes.",
	}
	reportIntervalOption = &config.Option[time.Duration]{
		Name: "report_interval", Type: config.Seconds(config.AtLeast(time.Second)), Default: agent.DefaultReportInterval,
		Help: "Seconds between reports of what the host has.",
	}
)

func amountOption(name string, value int, help string) *config.Option[int] {
	return &config.Option[int]{Group: agentGroup, Name: name, Type: config.Int(config.AtLeast(0), config.AtMost(1<<40)), Default: value, Help: help}
}

func agentOptions() []config.Definition {
	return []config.Definition{
		hostOption, topicOption, vcpusOption, memoryOption, diskOption, zoneOption, nodeUUIDOption, cellUUIDOption, buildTimeOption, reportIntervalOption,
	}
}
