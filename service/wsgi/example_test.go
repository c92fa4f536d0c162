package wsgi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/goslo/goslo/service/wsgi"
)

// A service listens from the beginning and serves from Start to Stop; a launcher calls these.
func ExampleService() {
	conf := wsgi.DefaultServiceConfig()
	conf.Listen = "127.0.0.1"
	conf.Server.LogFormat = "" // no access log

	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	s, err := wsgi.NewService("hello", hello, conf)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	ctx := context.Background()
	if err := s.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(fetch("http://" + s.Addr().String()))
	fmt.Println(s.Stop(ctx), s.Wait(ctx))
	// Output:
	// hello <nil>
	// <nil> <nil>
}

func fetch(url string) (string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
