// Package loopcall calls a function again and again: at a fixed interval, at the interval the function asks for,
// or with a back-off while it fails (oslo.service: loopingcall). [Retry] repeats one call until it succeeds.
//
//	loop := loopcall.Fixed(10*time.Second, m.ReportState, loopcall.WithInitialDelay(10*time.Second))
//	err := loop.Start(ctx)
//	...
//	loop.Stop()
//	_, err = loop.Wait(ctx)
//
// The first call happens at once, not after one interval, unless an initial delay says otherwise. A function ends
// its loop by returning [Done]; any other error ends it too, with a line in the log, unless the loop was made with
// [ContinueOnError].
//
// Two things differ from oslo.service. A failing [Dynamic] loop that continues on errors waits 10 ms before the
// next call, where oslo.service spins. And [Retry] counts per call, where oslo.service's decorator never gives a
// used retry back.
package loopcall
