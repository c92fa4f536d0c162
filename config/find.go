package config

import (
	"os"
	"path/filepath"
	"strings"
)

// FindFiles returns the default files of a program: project.conf and program.conf, each from the first of these
// directories that has it (oslo_config/cfg.py, find_config_files):
//
//	~/.project  ~  /etc/project  /etc  $SNAP_COMMON/etc/project  $SNAP/etc/project
//
// Without a project it is program.conf, from ~ or /etc.
func FindFiles(project, program string) []string {
	return New(program, WithProject(project)).findAll(".conf")
}

// FindDirs returns the default directories: project.conf.d and program.conf.d, found as [FindFiles] finds files.
func FindDirs(project, program string) []string {
	return New(program, WithProject(project)).findAll(".conf.d")
}

func (c *Config) findAll(extension string) []string {
	var found []string
	for _, name := range []string{c.project, c.program} {
		if name == "" || name == c.project && len(found) > 0 { // the program has the project's name
			continue
		}
		for _, dir := range c.searched() {
			path := filepath.Join(dir, name+extension)
			if _, err := os.Stat(path); err == nil {
				found = append(found, path)
				break
			}
		}
	}
	return found
}

// searched are the directories of files, in their order.
func (c *Config) searched() []string {
	var dirs []string
	add := func(base string, inside ...string) {
		if base != "" {
			dirs = append(dirs, filepath.Join(append([]string{base}, inside...)...))
		}
	}
	variable := func(name string) string { value, _ := c.lookupEnv(name); return value }
	home := variable("HOME")
	if c.project == "" {
		add(home)
		add(c.etc)
		return dirs
	}
	add(home, "."+c.project)
	add(home)
	add(c.etc, c.project)
	add(c.etc)
	add(variable("SNAP_COMMON"), "etc", c.project)
	add(variable("SNAP"), "etc", c.project)
	return dirs
}

// expandHome resolves a ~ at the beginning of a path.
func (c *Config) expandHome(path string) string {
	rest, ok := strings.CutPrefix(path, "~")
	if home, known := c.lookupEnv("HOME"); ok && known && (rest == "" || rest[0] == '/') {
		return filepath.Join(home, rest)
	}
	return path
}
