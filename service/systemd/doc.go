// Package systemd tells the service manager how a service is doing: that it is ready, stops, reloads, and still
// makes progress (sd_notify(3)). Without systemd, that is without NOTIFY_SOCKET in the environment, everything here
// does nothing.
//
// A launcher of package service tells it all:
//
//	conf.Notifier = systemd.Notifier{Log: log}
//	conf.WatchdogInterval, err = systemd.WatchdogInterval()
//
// Without a launcher, a program says what it has to say itself, as by notifier.Ready().
// [Watchdog] says WATCHDOG=1 only while a progress function finds that the service's own work goes on, so that a
// service whose consume loop hangs is restarted. [Environment] is what a worker process gets: it must not talk to
// systemd in its parent's place. [OnReady] is the other end, for a program that starts a service and waits for it.
package systemd
