// Package periodic runs the chores of a service: tasks that each have a spacing, looked at one after the other
// whenever a timer says so (oslo.service: periodic_task).
//
//	var tasks periodic.Tasks
//	err := tasks.Periodic("heal_instances", 2*time.Minute, m.Heal, periodic.RunImmediately())
//	timer := periodic.NewTimer(&tasks, periodic.Schedule{FuzzyDelay: time.Minute})
//	err = timer.Start(ctx)
//
// [Tasks] knows when a task is due and runs it; [NewTimer] makes the timer that asks it, either whenever the next
// task is due, as nova does, or at a fixed interval, as Karbor does.
package periodic
