package backdoor_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"

	"github.com/goslo/goslo/service/backdoor"
	"github.com/goslo/goslo/service/report"
)

func Example() {
	var state report.State
	state.Register("rpc server compute", func(w io.Writer) { fmt.Fprintln(w, "handling 3 of 64") })

	ctx := context.Background()
	door, err := backdoor.Open(ctx, backdoor.Config{Port: "0", State: &state})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = door.Close(ctx) }()

	// What an operator does with nc.
	conn, err := net.Dial("tcp", door.Address())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "state\nexit\n")
	for lines := bufio.NewScanner(conn); lines.Scan(); { // it drops the CR
		fmt.Println(lines.Text())
	}
	// Output:
	// ok
	// -- rpc server compute --
	// handling 3 of 64
	//
	// .
}
