package identity

import "golang.org/x/sys/unix"

// disarm takes back the signal with which the kernel has ended this process up to here, had its parent died: from here on a
// worker may have work to finish. The setting is that of the first thread, on which packages are initialised.
func disarm() {
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) // fails for other signals only
}
