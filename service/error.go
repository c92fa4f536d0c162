package service

import "errors"

// Errors of launchers, all found before anything is started.
var (
	// ErrWorkersNotPositive tells that a launcher was asked for no workers, or fewer.
	ErrWorkersNotPositive = errors.New("service: the number of workers must be positive")
	// ErrMultipleWorkers tells that a launcher of one process was asked for several workers.
	ErrMultipleWorkers = errors.New("service: a launcher of one process was asked to start multiple workers")
	// ErrBadRestartMethod tells that a restart method is neither reload nor mutate.
	ErrBadRestartMethod = errors.New("service: the restart method is neither reload nor mutate")
	// ErrBadReloadStrategy tells that a reload strategy is neither at-once nor rolling.
	ErrBadReloadStrategy = errors.New("service: the reload strategy is neither at-once nor rolling")
	// ErrNilService tells that there is no service to launch.
	ErrNilService = errors.New("service: the service is nil")
	// ErrServeTwice tells that [Serve] was called again.
	ErrServeTwice = errors.New("service: Serve can only be called once")
	// ErrDuplicatePool tells that two pools of a parent would have the same name.
	ErrDuplicatePool = errors.New("service: the parent has a pool of that name")
	// ErrNotHere tells that an option of [Launch] was given to LaunchService, where it is too late.
	ErrNotHere = errors.New("service: the option is one of Launch, not of LaunchService")
	// ErrNotParent tells that the process was started as a worker, by the environment variable GOSLO_WORKER, and its
	// program runs its services in one process.
	ErrNotParent = errors.New("service: GOSLO_WORKER makes this process a worker, which its program does not use")
	// ErrFull tells that a [ThreadGroup] runs as many tasks as it may.
	ErrFull = errors.New("service: the thread group is full")
)
