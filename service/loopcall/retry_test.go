package loopcall_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/service/loopcall"
)

var errOther = errors.New("other")

// failing makes a function that notes its calls and fails until call number n, from 1.
func failing(s *[]time.Duration, until int, err error) func(context.Context) (int, error) {
	begin := time.Now()
	return func(context.Context) (int, error) {
		*s = append(*s, time.Since(begin))
		if len(*s) < until {
			return 0, fmt.Errorf("call %d: %w", len(*s), err)
		}
		return len(*s), nil
	}
}

func seconds(n ...int) []time.Duration {
	out := make([]time.Duration, len(n))
	for i := range n {
		out[i] = time.Duration(n[i]) * time.Second
	}
	return out
}

func TestRetryWaitsLongerEachTimeUpToTheGreatest(t *testing.T) {
	t.Parallel()
	three := loopcall.DefaultRetry(errBoom)
	three.MaxRetries = 3
	for _, tt := range []struct {
		name   string
		policy loopcall.RetryPolicy
		until  int
		fail   error
		want   []time.Duration
		err    error
	}{
		{"a success is not retried", three, 1, errBoom, seconds(0), nil},
		{"10, 20, 30 up to 60 s", loopcall.DefaultRetry(errBoom), 9, errBoom, seconds(0, 10, 30, 60, 100, 150, 210, 270, 330), nil},
		{"as often as allowed", three, 4, errBoom, seconds(0, 10, 30, 60), nil},
		{"and no more", three, 5, errBoom, seconds(0, 10, 30, 60), errBoom},
		{"one of several errors", loopcall.DefaultRetry(errOther, errBoom), 2, errBoom, seconds(0, 10), nil},
		{"an error that is not listed", three, 2, errOther, seconds(0), errOther},
		{"nothing listed, nothing retried", loopcall.DefaultRetry(), 2, errBoom, seconds(0), errBoom},
		{"the zero policy", loopcall.RetryPolicy{}, 2, errBoom, seconds(0), errBoom},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls []time.Duration
				v, err := loopcall.Retry(t.Context(), tt.policy, failing(&calls, tt.until, tt.fail))
				if !errors.Is(err, tt.err) || err == nil && v != tt.until {
					t.Errorf("Retry = %d, %v, want %d, %v", v, err, tt.until, tt.err)
				}
				if diff := cmp.Diff(tt.want, calls); diff != "" {
					t.Errorf("times of calls (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestEveryRetryHasTheWholeBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		policy := loopcall.DefaultRetry(errBoom)
		policy.MaxRetries = 3
		for range 2 { // oslo.service: the second use fails after 2 calls instead of 4
			var calls []time.Duration
			if v, err := loopcall.Retry(t.Context(), policy, failing(&calls, 4, errBoom)); v != 4 || err != nil {
				t.Errorf("Retry = %d, %v, want the result of the fourth call", v, err)
			}
		}
	})
}

func TestRetryEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		begin, calls := time.Now(), []time.Duration(nil)
		_, err := loopcall.Retry(ctx, loopcall.DefaultRetry(errBoom), failing(&calls, 100, errBoom))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errBoom) {
			t.Errorf("Retry = %v, want the context's and the call's error", err)
		}
		if got := time.Since(begin); got != 25*time.Second || len(calls) != 2 {
			t.Errorf("%d calls, ended after %s, want 2 and 25s", len(calls), got)
		}
	})
}
