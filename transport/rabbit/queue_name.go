package rabbit

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/goslo/goslo/internal/wire"
)

// queuesNamed counts the names that were given out in this process. The drivers share it: two of them with the same
// reply queue would take each other's replies. oslo.messaging counts in shared memory, since its workers are forks of
// one process; those of goslo are told apart by their processname.
var queuesNamed atomic.Int64

// queueSuffix is the end of the name of a queue that belongs to this process.
func (o *Options) queueSuffix() string {
	if !o.QueueManager {
		return wire.NewID()
	}
	return o.managedSuffix(queuesNamed.Add(1))
}

// managedSuffix is a name of the queue manager (oslo_messaging/_drivers/amqpdriver.py, QManager).
func (o *Options) managedSuffix(n int64) string {
	return fmt.Sprintf("%s:%s:%d", o.hostname(), o.processname(), n)
}

func (o *Options) hostname() string {
	if o.Hostname != "" {
		return o.Hostname
	}
	name, err := os.Hostname()
	if err != nil { // the kernel does not say: any name will do that is the same next time
		return "localhost"
	}
	return name
}

func (o *Options) processname() string { return cmp.Or(o.Processname, filepath.Base(os.Args[0])) }
