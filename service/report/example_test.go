package report_test

import (
	"fmt"
	"io"
	"os"

	"github.com/goslo/goslo/service/report"
)

func ExampleState() {
	var state report.State
	unregister := state.Register("rpc server compute", func(w io.Writer) { fmt.Fprintln(w, "handling 3 of 64") })
	defer unregister()

	state.Write(os.Stdout)
	// Output:
	// -- rpc server compute --
	// handling 3 of 64
}

func ExampleWriteOptions() {
	report.WriteOptions(os.Stdout, map[string]string{
		"workers":       "4",
		"transport_url": "rabbit://nova:secret@controller:5672/",
	})
	// Output:
	// transport_url = rabbit://****@controller:5672/
	// workers = 4
}
