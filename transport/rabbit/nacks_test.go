package rabbit

import "testing"

func TestThreeRefusedMessagesInARowSpeakAgainstAHost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		play string // + is a confirm and - a nack, of the destination that follows; / is a host given up, | another session
		want int    // how often another host is asked for
	}{
		"three of one queue":                                {"-a-a-a", 1},
		"three of three queues":                             {"-a-b-c", 1},
		"two":                                               {"-a-a", 0},
		"a confirm in between":                              {"-a-a+a-a-a+a", 0},
		"a confirm of another queue in between":             {"-a-a+b-a-a+b-a", 0},
		"one in two sessions":                               {"-a-a|-a-a", 0},
		"a queue that another host refuses, too":            {"-a-a-a/|-a-a-a-a-a-a", 1},
		"a queue of two that another host takes":            {"-a-b-a/|-a+b-b-b-b", 2},
		"a queue that was not refused yet":                  {"-a-a-a/|-b-a-b-a-b", 2},
		"one that is taken again and refused":               {"-a-a-a/|+a-a-a-a", 2},
		"one that may not be given up, as long as it is so": {"-a-a-a-a", 2},
	} {
		var n nacks
		got := 0
		for i := 0; i < len(c.play); i++ {
			switch c.play[i] {
			case '+':
				i++
				n.confirmed(destination{key: c.play[i : i+1]})
			case '-':
				i++
				if n.nacked(destination{key: c.play[i : i+1]}) {
					got++
				}
			case '/':
				n.gaveUp()
			case '|':
				n.begin()
			}
		}
		if got != c.want {
			t.Errorf("%s: another host was asked for %d times, want %d", name, got, c.want)
		}
	}
}
