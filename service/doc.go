// Package service runs services as daemons: in this process or in worker processes, until a signal ends them, with
// nothing lost at a restart. It is what oslo.service gives a Python daemon.
//
//	l, err := service.Launch(service.DefaultConfig(), svc, service.WithWorkers(4))
//	if err != nil {
//		return err
//	}
//	os.Exit(l.Wait())
//
// With one worker, the default, [Launch] makes a [ServiceLauncher]: the service runs in this process. With more it makes
// a [ProcessLauncher]: this process becomes the parent of worker processes, each of which is the program started again
// with the same arguments. So main runs in the parent and in every worker, and must come to the same Launch in each: it
// decides by its arguments and configuration, never by what it finds running. In a worker Wait does not return; it ends
// the process.
//
// # Signals
//
//	TERM        stops gracefully; past [Config.GracefulShutdownTimeout] it is logged and the status is 1; a second one is ignored
//	INT, QUIT   end the process and its workers at once with status 1
//	HUP         reloads, or mutates ([RestartMethod]); in the foreground of a terminal it stops gracefully
//	USR1, USR2  write a report ([Config.Report]), by default the stacks of all goroutines
//
// # Differences to oslo.service
//
// The exit status is what Wait returns, a second TERM does not kill, a graceful stop that takes too long ends with
// status 1 and without orphans, a HUP in the foreground stops instead of leaving a process deaf, and the parent stops
// and resets no service of its own, since it has none that was started. READY is told to the service manager when all
// workers are ready, not when they were forked. All of them, reloads, exit statuses, and a measurement of both are in
// docs/service.md.
package service
