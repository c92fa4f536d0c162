package listen_test

import (
	"fmt"
	"io"
	"net"

	"github.com/goslo/goslo/service/listen"
)

// A socket is opened once, before anything is started; who accepts comes and goes.
func Example() {
	l, err := listen.TCP("api", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()

	client, err := net.Dial("tcp", l.Addr().String()) // nobody accepts yet
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	accepting, err := l.Accepting()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer accepting.Close()
	conn, err := accepting.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprint(conn, "welcome")
	conn.Close()

	text, err := io.ReadAll(client)
	fmt.Println(string(text), err)
	// Output: welcome <nil>
}
