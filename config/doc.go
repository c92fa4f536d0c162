// Package config gives programs their options as oslo.config does: from flags, the environment and INI files, so that
// an OpenStack service's nova.conf works as it is.
//
// An option is a package-level variable of the package that uses it, and is read through it:
//
//	var Workers = &config.Option[int]{Name: "workers", Type: config.Int(config.AtLeast(1)), Default: 1, Help: "..."}
//
//	c := config.New("scheduler", config.WithProject("nova"))
//	err := c.Register(Workers)
//	err = c.Parse(os.Args[1:])
//	n := Workers.Get(c)
//
// # Where values come from
//
// The first of these that has a value wins:
//
//  1. flags: --name for an option of [DEFAULT], --group-name for others, --noname and --group-noname for booleans;
//     dashes and underscores are the same
//  2. the environment: OS_DEFAULT__NAME, OS_GROUP__NAME
//  3. files, the last one first: what --config-file and --config-dir name, in the order of the command line; without a
//     --config-file those of [FindFiles], without a --config-dir those of [FindDirs]. Of a directory, *.conf is read, sorted
//  4. the option's default
//
// In oslo.config a file that is named behind a flag wins over the flag, and the environment wins over a flag of what a file
// sets too; here flags always win.
//
// # Files
//
//	[group]
//	# a comment, as is a line that begins with ;
//	name = value
//	other: "value with spaces at its end "
//	long = one line,
//	       and another, since it begins with a space or tab
//
// Files are UTF-8 without a byte order mark. Names of groups are read without regard to case, but for DEFAULT; those of
// options as they are. Of an option that is given several times the last value counts, unless it is a [Multi]. A pair of
// quotes around a value is taken off. $name and ${name} stand for the value of another option of the same group or of
// [DEFAULT], ${group.name} for that of any; a dollar sign is $$ or \$, or a $ before anything but a letter or _.
//
// A nova.conf has options of several programs. Groups that this program has no options in are passed over; of its own groups each
// name that no option has is warned of once, with file and line, unless [Config.Ignore] names it.
//
// # Changes while running
//
// [Config.Reload] reads everything again, [Config.Mutate] only what options declare Mutable; see there. Both leave all as it
// was when a file is wrong.
package config
