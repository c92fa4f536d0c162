package logging

import (
	"errors"
	"os"
	"sync"
)

// watchedFile is a file that is opened anew when it has been moved away or deleted, as logrotate does it. It looks before
// each line, as Python's WatchedFileHandler does, which is oslo.log's. It is safe for concurrent use.
type watchedFile struct {
	path string

	mu   sync.Mutex // held while writing, so that lines stay whole
	file *os.File
	info os.FileInfo
}

func openWatched(path string) (*watchedFile, error) {
	w := &watchedFile{path: path}
	return w, w.open()
}

func (w *watchedFile) open() error {
	file, err := os.OpenFile(w.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	old := w.file
	w.file, w.info = file, info
	if old != nil {
		return old.Close()
	}
	return nil
}

// Write appends a line. When the file cannot be opened anew it goes to the old one.
func (w *watchedFile) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now, err := os.Stat(w.path); err != nil || !os.SameFile(now, w.info) {
		_ = w.open() // a full disk or a lost directory must not cost the line
	}
	return w.file.Write(line)
}

// Close closes the file.
func (w *watchedFile) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.file.Close()
}
