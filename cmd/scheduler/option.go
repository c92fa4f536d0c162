package main

import (
	"time"

	"github.com/goslo/goslo/cmd/scheduler/internal/agent"
	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/listen"
	"github.com/goslo/goslo/service/rpcservice"
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
		Name: "host", Type: config.HostDomain(), NoDefault: true, Help: "The name of this server on the bus; by default the machine's.",
	}
)

// Options of the backdoor and of timers, which every service has.
var (
	backdoorPortOption = &config.Option[string]{
		Name: "backdoor_port", Type: config.String(), NoDefault: true,
		Help: "The port of a backdoor on 127.0.0.1 for who looks into a running process: 0 for any that is free, a port, or <start>:<end> " +
			"for the first free one of these. Each worker process has one of its own, and one more while they are replaced. By default there is none.",
	}
	backdoorSocketOption = &config.Option[string]{
		Name: "backdoor_socket", Type: config.String(), NoDefault: true,
		Help: "The path of a unix socket for the backdoor, in place of backdoor_port; {pid} in it becomes the id of the process.",
	}
	backdoorHTTPOption = &config.Option[bool]{
		Name: "backdoor_http", Type: config.Bool(),
		Help: "Serve HTTP with Go's profiles, under /debug/pprof/, at the backdoor, in place of its line protocol.",
	}
	downTimeOption = &config.Option[time.Duration]{
		Name: "service_down_time", Type: config.Seconds(config.AtLeast(time.Second)), Default: rpcservice.DefaultServiceDownTime,
		Help: "Seconds without a report after which a service counts as down; a report that takes longer is given up. It is raised " +
			"where it is not longer than report_interval.",
	}
	reportIntervalOption = &config.Option[time.Duration]{
		Name: "report_interval", Type: config.Seconds(config.AtLeast(time.Second)), Default: agent.DefaultReportInterval,
		Help: "Seconds between reports of what a compute host has. Schedulers make no reports.",
	}
	periodicIntervalOption = &config.Option[time.Duration]{
		Name: "periodic_interval", Type: config.Seconds(config.AtLeast(time.Second)), Default: 60 * time.Second,
		Help: "Seconds between looks at which periodic tasks are due. These services have no such tasks: it changes nothing.",
	}
	periodicFuzzyDelayOption = &config.Option[time.Duration]{
		Name: "periodic_fuzzy_delay", Type: config.Seconds(config.AtLeast(time.Duration(0))), Default: rpcservice.DefaultPeriodicFuzzyDelay,
		Help: "Seconds that the first look at periodic tasks is put off at random, at most; 0 is not at all. These services have no such " +
			"tasks: it changes nothing.",
	}
	externalTasksOption = &config.Option[bool]{
		Name: "run_external_periodic_tasks", Type: config.Bool(), Default: true,
		Help: "Run periodic tasks that may also be run by another process. These services have no such tasks: it changes nothing.",
	}
)

func serviceOptions() []config.Definition {
	return []config.Definition{
		gracefulOption, logOptionsOption, restartMethodOption, reloadStrategyOption, backdoorPortOption, backdoorSocketOption, backdoorHTTPOption,
		downTimeOption, reportIntervalOption, periodicIntervalOption, periodicFuzzyDelayOption, externalTasksOption,
	}
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
		Name: "wsgi_log_format", Type: config.String(), Default: wsgi.DefaultLogFormat,
		Help: "The template of a line of the access log: client_ip, date_time, request_line, status_code, body_length and wall_seconds count. " +
			"Empty is for no access log.",
	}
	serverDebugOption = &config.Option[bool]{
		Name: "wsgi_server_debug", Type: config.Bool(), Help: "Answer a request whose handler panics with the stack.",
	}
	pasteOption = &config.Option[string]{
		Name: "api_paste_config", Type: config.String(), Default: "api-paste.ini",
		Help: "The file with a Python service's WSGI pipeline. There is none here: it changes nothing.",
	}
	reusePortOption = &config.Option[bool]{
		Group: apiGroup, Name: "reuse_port", Type: config.Bool(),
		Help: "Give each process a socket of its own (SO_REUSEPORT): connections are spread evenly, and those that wait for a process which " +
			"ends are lost.",
	}
	useSSLOption = &config.Option[bool]{
		Group: apiGroup, Name: "use_ssl", Type: config.Bool(), Default: true, Help: "Serve HTTPS where [ssl] cert_file or key_file is set.",
	}
)

// sslGroup is oslo.service's.
const sslGroup = "ssl"

// Options of HTTPS.
var (
	certFileOption = sslOption("cert_file", "The file with the server's certificate, and those between it and its authority, in PEM.")
	keyFileOption  = sslOption("key_file", "The file with the certificate's key, in PEM.")
	caFileOption   = sslOption("ca_file", "The file with the authorities of clients, in PEM: each client must have a certificate of theirs. "+
		"By default none is asked for.")
	sslVersionOption = sslOption("version", "The least version of TLS: TLSv1_2, which is the default, or TLSv1_3.")
	ciphersOption    = sslOption("ciphers", "The ciphers for TLS 1.2, by the names of OpenSSL or IANA with colons between; by default Go's choice.")
)

func sslOption(name, help string) *config.Option[string] {
	return &config.Option[string]{Group: sslGroup, Name: name, Type: config.String(), NoDefault: true, Help: help}
}

func apiOptions() []config.Definition {
	return []config.Definition{
		topicOption, listenOption, apiWorkersOption, poolSizeOption, headerLineOption, keepAliveOption, clientTimeoutOption, keepIdleOption, logFormatOption,
		serverDebugOption, pasteOption, reusePortOption, useSSLOption, certFileOption, keyFileOption, caFileOption, sslVersionOption, ciphersOption,
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
)

func amountOption(name string, value int, help string) *config.Option[int] {
	return &config.Option[int]{Group: agentGroup, Name: name, Type: config.Int(config.AtLeast(0), config.AtMost(1<<40)), Default: value, Help: help}
}

func agentOptions() []config.Definition {
	return []config.Definition{
		hostOption, topicOption, vcpusOption, memoryOption, diskOption, zoneOption, nodeUUIDOption, cellUUIDOption, buildTimeOption,
	}
}
