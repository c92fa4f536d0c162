// Package report writes down what a running service is doing: its goroutines, memory, version, configuration and
// the state that its parts have registered (OpenStack: the guru meditation report of oslo.reports).
//
//	var state report.State
//	state.Register("rpc server compute", server.PrintState)
//	reporter := report.New(report.Config{Name: "nova-compute", LogDir: "/var/log/nova", State: &state})
//
// [Reporter.Handle] is what a signal handler for USR1 or USR2 calls. [Write] is the report without the service: it
// writes sections to a writer and touches nothing else.
package report
