package loopcall_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goslo/goslo/service/loopcall"
)

func ExampleFixed() {
	beats := 0
	loop := loopcall.Fixed(10*time.Millisecond, func(context.Context) error {
		beats++
		if beats == 3 {
			return loopcall.Done("three beats")
		}
		return nil
	}, loopcall.WithName("report_state"))

	ctx := context.Background()
	if err := loop.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(loop.Wait(ctx))
	// Output: three beats <nil>
}

func ExampleRetry() {
	errBusy := errors.New("busy")
	policy := loopcall.DefaultRetry(errBusy)
	policy.IncSleepTime = time.Millisecond

	tries := 0
	host, err := loopcall.Retry(context.Background(), policy, func(context.Context) (string, error) {
		if tries++; tries < 3 {
			return "", errBusy
		}
		return "compute1", nil
	})
	fmt.Println(host, err, "after", tries, "tries")
	// Output: compute1 <nil> after 3 tries
}
