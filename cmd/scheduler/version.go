package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(stdout, versionLine(debug.ReadBuildInfo()))
			return err
		},
	}
}

// version is that of the module that the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return cmp.Or(info.Main.Version, "(devel)")
}

// versionLine is the version of the module that the command was built from, and of Go.
func versionLine(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return "scheduler (unknown)"
	}
	return fmt.Sprintf("scheduler %s (%s)", cmp.Or(info.Main.Version, "(devel)"), info.GoVersion)
}
