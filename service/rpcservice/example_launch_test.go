package rpcservice_test

import (
	"fmt"
	"log"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/rpcservice"
	"github.com/goslo/goslo/service/systemd"
)

// launchGreeter runs a service on the bus, in worker processes if there are several, and tells systemd how it does.
func launchGreeter(svc *rpcservice.RPCService, workers int) (l service.Launcher, err error) {
	conf := service.DefaultConfig()
	conf.Notifier = systemd.Notifier{Log: conf.Log}
	conf.Progress = systemd.Moving(svc.Progress)
	if conf.WatchdogInterval, err = systemd.WatchdogInterval(); err != nil { // of WATCHDOG_USEC
		return nil, err
	}
	return service.Launch(conf, svc, service.WithWorkers(workers), service.WithName("greeter"))
}

// A daemon on the bus, from its transport to its exit status.
func ExampleRPCService() {
	transport, err := messaging.Open("rabbit://guest:guest@localhost:5672/") // nothing is dialled yet
	if err != nil {
		log.Fatal(err)
	}
	svc, err := rpcservice.New(transport, &greeter{}, rpcservice.Config{Topic: "greetings", Host: "host1"})
	if err != nil {
		log.Fatal(err)
	}
	l, err := launchGreeter(svc, 4)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("exit status", l.Wait())
}
