package config

import (
	"regexp"
	"strings"
)

// hidden stands for a secret.
const hidden = "****"

// secretName tells by its name that an option holds a secret, whatever it says itself.
func secretName(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "password") || strings.Contains(name, "_key") || strings.Contains(name, "secret") ||
		strings.HasSuffix(name, "token")
}

var (
	// Everything up to the last @: hosts of a transport URL have credentials each, and a password may have any character.
	credentials = regexp.MustCompile(`(?s)://.*@`)
	passwords   = regexp.MustCompile(`(?i)([?&][^=&\s]*(?:password|secret|token)[^=&\s]*=)[^&\s]*`)
)

// maskURL hides the credentials of URLs in text.
func maskURL(text string) string {
	return passwords.ReplaceAllString(credentials.ReplaceAllString(text, "://"+hidden+"@"), "${1}"+hidden)
}
