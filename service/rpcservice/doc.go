// Package rpcservice makes a service of a manager: something that a launcher of package service starts and stops, with an
// RPC server behind a topic, periodic tasks and reports that the service is alive (nova: service.Service, Karbor:
// service.Service).
//
//	svc, err := rpcservice.New(transport, manager, rpcservice.Config{Topic: "compute", Host: host})
//	launcher, err := service.Launch(conf, svc, service.WithWorkers(4))
//
// [RPCService.Start] does, in this order: the manager's InitHost; the server, on the topic and on topic.host; the manager's
// InitHostWithRPC; periodic tasks; reports. A step that fails undoes those before it. [RPCService.Stop] goes the same way
// back.
//
// Several services of one topic, in one process or many, share its messages: a message to the topic, or to topic.host
// where the hosts are the same, is run by one of them, and a fanout by each.
package rpcservice
